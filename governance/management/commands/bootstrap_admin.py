"""Make the first organisation admin and print, as JSON, how to come in."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from governance.domain.access import SYSTEM
from governance.domain.catalogue import TokenScope
from governance.services import accounts, login_links, tokens

TOKEN_NAME = "bootstrap"  # noqa: S105 - a name


class Command(BaseCommand):
    help = "Make the first organisation admin, once, and print JSON with a one-time login link."
    action = "system.operate"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument(
            "--token",
            action="store_true",
            help="also issue an API token with all scopes; earlier ones of this command end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        made = accounts.bootstrap_admin(username=options["username"])
        username = made.user.username
        answer = {"username": username, "created": made.password is not None}
        if made.password is not None:
            answer["password"] = made.password
        answer["login_path"] = f"/accounts/link/{login_links.make(actor=SYSTEM, username=username)}"
        if options["token"]:
            tokens.revoke_named(actor=SYSTEM, owner_id=made.user.pk, name=TOKEN_NAME)
            issued = tokens.issue(
                actor=SYSTEM,
                owner_id=made.user.pk,
                name=TOKEN_NAME,
                scopes=[TokenScope.ADMIN],
            )
            answer["token"] = issued.text
        self.stdout.write(json.dumps(answer))
