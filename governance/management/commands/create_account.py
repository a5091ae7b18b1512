"""Make an account for somebody else, or for a machine, and say how to come in."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from core.errors import Refused
from governance.domain.access import SYSTEM
from governance.domain.catalogue import TokenScope
from governance.domain.roles import Role
from governance.services import accounts, login_links, members, tokens

FIRST = "first"


class Command(BaseCommand):
    help = "Make an account and print JSON: for a person a one-time login link, else a token."
    action = "system.operate"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--display-name", default="")
        parser.add_argument("--service", action="store_true", help="for a machine: tokens only")
        parser.add_argument(
            "--role", choices=[str(role) for role in Role], help="everywhere; else grant one later"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = _create(options)
        except Refused as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(json.dumps(answer))


def _create(options: dict[str, Any]) -> dict[str, str]:
    username = options["username"]
    make = accounts.create_service if options["service"] else accounts.create_person
    with transaction.atomic():
        user = make(actor=SYSTEM, username=username, display_name=options["display_name"])
        if options["role"]:
            members.grant(actor=SYSTEM, username=username, role=options["role"])
        answer = {"id": user.public_id, "username": username}
        if options["service"]:
            # It never signs in, so this is the only way in; the role says what it opens.
            issued = tokens.issue(
                actor=SYSTEM, owner_id=user.pk, name=FIRST, scopes=[TokenScope.ADMIN]
            )
            answer["token"] = issued.text
        else:
            link = login_links.make(actor=SYSTEM, username=username)
            answer["login_path"] = f"/accounts/link/{link}"
    return answer
