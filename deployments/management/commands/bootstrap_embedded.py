"""`manage.py bootstrap_embedded --gateway staging=http://127.0.0.1:9001 …`: what this machine runs.

Each named environment gets this machine as a host, of processes or with `--engine` of a Docker
Engine's containers, and one gateway, whose token lies in
`SLIPWAY_HOME/gateways/<environment>/token`. May be repeated: what is there and right is kept, a
gateway whose token file is lost gets a new token, one that listens elsewhere now is moved.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.errors import ControlPlaneError
from deployments.management.joining import assignment, join
from deployments.models import Host
from deployments.services import hosts
from governance.domain.access import SYSTEM


class Command(BaseCommand):
    help = "Register this machine's hosts and gateways; prints what there is as JSON."
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
            "--engine",
            default="",
            metavar="ADDRESS",
            help="this machine's Docker Engine, whose containers the replicas are then",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        joined: dict[str, Any] = {"hosts": {}, "gateways": {}}
        try:
            for environment, address in options["gateway"]:
                joined["hosts"][environment] = {
                    "id": _host(environment, options["engine"]).public_id
                }
                token_file = settings.HOME / "gateways" / environment / "token"
                gateway = join(environment, address, token_file)
                joined["gateways"][environment] = {
                    "id": gateway.public_id,
                    "name": gateway.name,
                    "address": gateway.address,
                    "token_file": str(token_file),
                }
        except ControlPlaneError as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(json.dumps(joined))


def _host(environment: str, engine: str) -> Host:
    here = Host.objects.filter(environment__name=environment, removed_at=None)
    if engine:
        present = here.filter(kind=Host.Kind.DOCKER, address=engine).first()
        return present or hosts.add(
            actor=SYSTEM,
            environment=environment,
            name=f"engine-{environment}",
            kind=Host.Kind.DOCKER,
            engine=hosts.Engine(engine),
        )
    present = here.filter(kind=Host.Kind.PROCESS).first()
    return present or hosts.add(actor=SYSTEM, environment=environment, name=f"local-{environment}")
