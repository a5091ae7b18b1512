"""`manage.py bootstrap_embedded --gateway staging=http://127.0.0.1:9001 …`: what this machine runs.

Each named environment gets this machine as a host, of processes or with `--engine` of a Docker
Engine's containers, and one gateway, whose token lies in
`SLIPWAY_HOME/gateways/<environment>/token`. May be repeated: what is there and right is kept, a
gateway whose token file is lost gets a new token, one that listens elsewhere now is moved.
"""

from __future__ import annotations

import json
import os
import secrets
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.errors import ControlPlaneError
from deployments.domain.gateways import token_matches
from deployments.models import Gateway, Host
from deployments.services import gateways, hosts
from governance.domain.access import SYSTEM


class Command(BaseCommand):
    help = "Register this machine's hosts and gateways; prints what there is as JSON."
    action = "system.operate"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--gateway",
            action="append",
            type=_assignment,
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
                gateway, token_file = _gateway(environment, address)
                joined["gateways"][environment] = {
                    "id": gateway.public_id,
                    "name": gateway.name,
                    "address": gateway.address,
                    "token_file": str(token_file),
                }
        except ControlPlaneError as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(json.dumps(joined))


def _assignment(text: str) -> tuple[str, str]:
    environment, equals, address = text.partition("=")
    if not (environment and equals and address):
        raise ArgumentTypeError(f"{text!r} is not ENVIRONMENT=ADDRESS")
    return environment, address


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


def _gateway(environment: str, address: str) -> tuple[Gateway, Path]:
    token_file = settings.HOME / "gateways" / environment / "token"
    name = f"gateway-{environment}"
    gateway = Gateway.objects.filter(
        environment__name=environment, name=name, removed_at=None
    ).first()
    if gateway is None:
        made = gateways.register(actor=SYSTEM, environment=environment, name=name, address=address)
        _write_private(token_file, made.token)
        return made.gateway, token_file
    if gateway.address != address.rstrip("/"):
        gateway = gateways.move(
            actor=SYSTEM, gateway_id=gateway.public_id, revision=gateway.revision, address=address
        )
    if not token_matches(_read(token_file), gateway.token_hash):
        made = gateways.renew_token(
            actor=SYSTEM, gateway_id=gateway.public_id, revision=gateway.revision
        )
        _write_private(token_file, made.token)
        gateway = made.gateway
    return gateway, token_file


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def _write_private(path: Path, text: str) -> None:
    """Only its owner may read it, from the first byte on; a reader never sees half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    draft.replace(path)
