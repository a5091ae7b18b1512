"""Joining gateways to their environments, for the commands that set a machine up."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentTypeError
from pathlib import Path

from deployments.domain.gateways import token_matches
from deployments.models import Gateway
from deployments.services import gateways
from governance.domain.access import SYSTEM


def assignment(text: str) -> tuple[str, str]:
    """ENVIRONMENT=ADDRESS, for argparse."""
    environment, equals, address = text.partition("=")
    if not (environment and equals and address):
        raise ArgumentTypeError(f"{text!r} is not ENVIRONMENT=ADDRESS")
    return environment, address


def join(environment: str, address: str, token_file: Path) -> Gateway:
    """The environment's own gateway, registered at this address; `token_file` holds its token
    afterwards. May be repeated: a gateway whose token is lost gets a new one, one that listens
    elsewhere now is moved.

    Raises:
        core.errors.ControlPlaneError: there is no such environment, or the address is none.
    """
    name = f"gateway-{environment}"
    gateway = Gateway.objects.filter(
        environment__name=environment, name=name, removed_at=None
    ).first()
    if gateway is None:
        made = gateways.register(actor=SYSTEM, environment=environment, name=name, address=address)
        write_private(token_file, made.token)
        return made.gateway
    if gateway.address != address.rstrip("/"):
        gateway = gateways.move(
            actor=SYSTEM, gateway_id=gateway.public_id, revision=gateway.revision, address=address
        )
    if token_matches(_read(token_file), gateway.token_hash):
        return gateway
    made = gateways.renew_token(
        actor=SYSTEM, gateway_id=gateway.public_id, revision=gateway.revision
    )
    write_private(token_file, made.token)
    return made.gateway


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def write_private(path: Path, text: str) -> None:
    """Only its owner may read it, from the first byte on; a reader never sees half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    draft.replace(path)
