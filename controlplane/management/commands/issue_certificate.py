"""`manage.py issue_certificate --for web --name slipway.example.org --into FOLDER`

For what speaks in `web`'s name and is not `web`: a proxy before it, or `web` itself on a machine
without the authority's key. `web` reads the files again when they change, so repeating this in time
is a renewal.
"""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core import pki
from governance import audit
from governance.domain.access import SYSTEM, Subject
from wire import identity

_NAMES = {"web": identity.WEB}


class Command(BaseCommand):
    help = "Issue a certificate of the internal authority, and write it and its key to files."
    action = "certificate.issue"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--for", choices=sorted(_NAMES), required=True, dest="whom")
        parser.add_argument(
            "--name",
            action="append",
            required=True,
            dest="names",
            metavar="NAME",
            help="a host name or an address under which it is reached; repeat for each",
        )
        parser.add_argument(
            "--into",
            type=Path,
            required=True,
            metavar="FOLDER",
            help="gets WHOM.pem, WHOM.key and authority.pem, which clients must trust",
        )
        parser.add_argument(
            "--hours",
            type=float,
            default=settings.CONFIG.certificate_hours,
            help="how long it is good for; SLIPWAY_CERTIFICATE_HOURS unless given",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        whom, names, folder = options["whom"], options["names"], options["into"]
        hours = options["hours"]
        if not 0 < hours <= pki.AUTHORITY_DAYS * 24:
            raise CommandError("--hours is not a time that a certificate can be good for.")
        with transaction.atomic():
            try:
                issued = settings.AUTHORITY.issue(_NAMES[whom], hours=hours, names=names)
            except ValueError as problem:
                raise CommandError(f"--name: {problem}") from problem
            audit.record(SYSTEM, self.action, Subject("certificate"), whom=whom, names=names)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The key first: whoever sees a new certificate finds its key.
            _write(folder / f"{whom}.key", issued.key, 0o600)
            _write(folder / f"{whom}.pem", issued.certificate, 0o644)
            _write(folder / "authority.pem", settings.AUTHORITY.pem, 0o644)
        except OSError as problem:
            raise CommandError(f"{problem.filename}: {problem.strerror}") from problem
        ends = datetime.fromtimestamp(pki.expires_at(issued.certificate), UTC)
        self.stdout.write(f"{folder / whom}.pem is good until {ends:%Y-%m-%d %H:%M} UTC.")


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never with more rights than in the end."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    draft.replace(path)
