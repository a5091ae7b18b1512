"""`manage.py prepare --gateway staging=https://gateway-staging:8443 …`: what a container deployment
needs done once per start and per upgrade, before its programs run.

Schema, static files, the authority's certificate for those who must trust it, and each gateway's
name and token into a folder that only this gateway sees. May be repeated; what is right is kept.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from core.errors import ControlPlaneError
from deployments.management.joining import assignment, join, write_private


class Command(BaseCommand):
    help = "Migrate, collect static files, register the gateways of a container deployment."
    action = "system.operate"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--gateway",
            action="append",
            type=assignment,
            default=[],
            metavar="ENVIRONMENT=ADDRESS",
            help="where the gateway of an environment listens; repeat for each",
        )
        parser.add_argument(
            "--gateway-state",
            type=Path,
            required=True,
            metavar="FOLDER",
            help="gets ENVIRONMENT/joined.json and ENVIRONMENT/token for each",
        )
        parser.add_argument(
            "--public",
            type=Path,
            required=True,
            metavar="FOLDER",
            help="gets authority.pem, which gateways and the front door trust",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        (options["public"] / "authority.pem").write_text(settings.AUTHORITY.pem)
        try:
            for environment, address in options["gateway"]:
                self._join(environment, address, options["gateway_state"] / environment)
        except ControlPlaneError as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write("ready for the programs to start")

    def _join(self, environment: str, address: str, folder: Path) -> None:
        token_file = folder / "token"
        gateway = join(environment, address, token_file)
        joined = {"id": gateway.public_id, "token_file": token_file.name}
        write_private(folder / "joined.json", json.dumps(joined))
