"""`manage.py encrypt_artifacts`: encrypt what an earlier Slipway has stored plain."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from deployments.services import artifacts
from governance.domain.access import SYSTEM


class Command(BaseCommand):
    help = (
        "Encrypt artifacts that were stored plain. Each is also encrypted when it is first used;"
        " this does it for all of them now."
    )
    action = "artifact.encrypt"

    def handle(self, *args: Any, **options: Any) -> None:
        result = artifacts.encrypt_plain(actor=SYSTEM)
        self.stdout.write(f"Encrypted {len(result.done)} artifacts.")
        for digest, problem in result.failed.items():
            self.stderr.write(f"{digest}: {problem}")
        if result.failed:
            raise CommandError(f"{len(result.failed)} artifacts are still plain.")
