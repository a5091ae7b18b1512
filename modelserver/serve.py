"""`modelserver serve`: what happens before the event loop runs, and the exit codes.

1. Read the manifest from standard input, verify it.
2. Bind the port and announce it.
3. Hand over to `modelserver.replica`, which loads the model and serves it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import uvloop

from modelserver.logs import Log
from modelserver.replica import MANIFEST_REFUSED, Replica
from wire import manifest as manifests
from wire.errors import ManifestRefused
from wire.manifest import ReleaseManifest

USAGE = 2
BACKLOG = 1024


class Address(NamedTuple):
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; `name` is HOST_ID/REPLICA_ID."""

    artifact: Path
    trust: str
    name: str
    bind: Address
    announce: Path
    drain_wait: float


def run(options: Options, stdin: BinaryIO | None = None) -> int:
    """Serves until told to stop; returns the exit code."""
    log = Log(name=options.name, pid=os.getpid())
    options.announce.unlink(
        missing_ok=True
    )  # an earlier boot's, which would send probes to a stranger
    source = stdin if stdin is not None else sys.stdin.buffer
    try:
        manifest = admitted(options, source.read(manifests.MAX_BYTES + 1), now=time.time())
    except ManifestRefused as problem:
        log.event("manifest-refused", code=problem.code, message=problem.message)
        return MANIFEST_REFUSED
    boot_id = secrets.token_hex(16)
    log.bind(release=manifest.release, boot_id=boot_id)
    try:
        listening = _bound(options.bind)
        _announce(options.announce, listening, boot_id)
    except OSError as problem:
        log.event(
            "bind-failed", address=options.bind.host, port=options.bind.port, message=str(problem)
        )
        return USAGE
    log.event("listening", port=listening.getsockname()[1])
    replica = Replica(manifest, options.artifact, boot_id, log, drain_wait=options.drain_wait)
    with listening:
        return uvloop.run(replica.live(listening))


def admitted(options: Options, blob: bytes, *, now: float) -> ReleaseManifest:
    """The verified manifest, if it is for the replica that the command line names."""
    manifest = manifests.verify(blob, manifests.trusted_key(options.trust), now)
    if options.name.rpartition("/")[2] != manifest.replica:
        message = f"The manifest is for {manifest.replica}, but this is {options.name}."
        raise ManifestRefused("manifest:other-replica", message)
    return manifest


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        # Listening from here on: whoever reads the announcement may connect at once.
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _announce(path: Path, listening: socket.socket, boot_id: str) -> None:
    """Atomic: a reader sees the whole announcement or none."""
    host, port = listening.getsockname()[:2]
    told = {"address": host, "port": port, "pid": os.getpid(), "boot_id": boot_id}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(told) + "\n")
    draft.replace(path)
