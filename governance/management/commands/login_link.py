"""Print a one-time login link for a person."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import Refused
from governance.domain.access import SYSTEM
from governance.services import login_links


class Command(BaseCommand):
    help = "Print a link that signs a person in once within 30 minutes."
    action = "system.operate"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            secret = login_links.make(actor=SYSTEM, username=options["username"])
        except Refused as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(f"{settings.CONFIG.web_url}/accounts/link/{secret}")
