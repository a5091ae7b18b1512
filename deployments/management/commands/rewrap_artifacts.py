"""`manage.py rewrap_artifacts`: a new key for the keys of the artifacts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from deployments.services import artifacts
from governance.domain.access import SYSTEM


class Command(BaseCommand):
    help = (
        "Make a new key and wrap the key of every artifact by it. Neither artifacts nor images nor"
        " replicas are touched, and all programs may go on running."
    )
    action = "artifact.rewrap"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--retire",
            action="store_true",
            help="delete older keys that nothing has needed for ten minutes; backups from before"
            " can then no longer be read",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        result = artifacts.rewrap(actor=SYSTEM, retire=options["retire"])
        self.stdout.write(
            f"Wrapped the keys of {result.count} artifacts by key {result.generation}."
        )
        for generation in result.retired:
            self.stdout.write(f"Deleted key {generation}.")
        for digest, problem in result.failed.items():
            self.stderr.write(f"{digest}: {problem}")
        if result.failed:
            raise CommandError(f"{len(result.failed)} artifacts keep their older key.")
