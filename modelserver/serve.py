"""`modelserver serve`: what happens before the event loop runs, and the exit codes.

1. Read the manifest from standard input, verify it, and what the image holds against it.
2. Bind the ports and announce them.
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

from modelserver import grpc_port, memory
from modelserver.logs import Log
from modelserver.replica import MANIFEST_REFUSED, USAGE, Ports, Replica
from modelserver.tls import Identity
from wire import manifest as manifests
from wire import version_manifest as version_manifests
from wire.errors import ManifestRefused
from wire.manifest import ReleaseManifest

BACKLOG = 1024


class Address(NamedTuple):
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; `name` is HOST_ID/REPLICA_ID. Without a `grpc_bind` there is no gRPC,
    without `announce` somebody else knows the ports."""

    artifact: Path
    trust: str
    name: str
    bind: Address
    drain_wait: float
    grpc_bind: Address | None = None
    announce: Path | None = None
    version_manifest: Path | None = None


def run(options: Options, stdin: BinaryIO | None = None) -> int:
    """Serves until told to stop; returns the exit code."""
    memory.limit_heaps()
    log = Log(name=options.name, pid=os.getpid())
    if options.announce is not None:
        # An earlier boot's would send probes to a stranger.
        options.announce.unlink(missing_ok=True)
    source = stdin if stdin is not None else sys.stdin.buffer
    try:
        manifest = admitted(options, source.read(manifests.MAX_BYTES + 1), now=time.time())
        identity = Identity(manifest, manifest.tls) if manifest.tls else None
    except ManifestRefused as problem:
        log.event("manifest-refused", code=problem.code, message=problem.message)
        return MANIFEST_REFUSED
    boot_id = secrets.token_hex(16)
    log.bind(release=manifest.release, boot_id=boot_id)
    try:
        ports = _bound(options)
        _announce(options, ports, boot_id)
    except OSError as problem:
        log.event(
            "bind-failed", address=options.bind.host, port=options.bind.port, message=str(problem)
        )
        return USAGE
    log.event("listening", port=_port(ports.http), grpc_port=_port(ports.grpc))
    replica = Replica(
        manifest,
        options.artifact,
        boot_id,
        log,
        drain_wait=options.drain_wait,
        identity=identity,
    )
    with ports.http:
        return uvloop.run(replica.live(ports))


def admitted(options: Options, blob: bytes, *, now: float) -> ReleaseManifest:
    """The verified manifest, if it is for the replica that the command line names, and of the
    version that lies in the image."""
    trusted = manifests.trusted_key(options.trust)
    manifest = manifests.verify(blob, trusted, now)
    if options.name.rpartition("/")[2] != manifest.replica:
        message = f"The manifest is for {manifest.replica}, but this is {options.name}."
        raise ManifestRefused("manifest:other-replica", message)
    if options.version_manifest is not None:
        held = _read(options.version_manifest)
        version_manifests.verify(held, trusted).require_agreement(manifest)
    return manifest


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(version_manifests.MAX_BYTES + 1)
    except OSError as problem:
        message = f"The version manifest cannot be read: {os.strerror(problem.errno or 0)}."
        raise ManifestRefused("manifest:unreadable", message) from problem


def _bound(options: Options) -> Ports:
    listening = _listening(options.bind)
    if options.grpc_bind is None:
        return Ports(listening)
    try:
        return Ports(listening, grpc_port.reserve(*options.grpc_bind))
    except OSError:
        listening.close()
        raise


def _listening(address: Address) -> socket.socket:
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


def _port(bound: socket.socket | None) -> int | None:
    return bound.getsockname()[1] if bound is not None else None


def _announce(options: Options, ports: Ports, boot_id: str) -> None:
    """Atomic: a reader sees the whole announcement or none."""
    if options.announce is None:
        return
    host, port = ports.http.getsockname()[:2]
    told = {"address": host, "port": port, "pid": os.getpid(), "boot_id": boot_id}
    if ports.grpc is not None:
        told["grpc_port"] = _port(ports.grpc)
    draft = options.announce.with_name(f".{options.announce.name}.{os.getpid()}")
    draft.write_text(json.dumps(told) + "\n")
    draft.replace(options.announce)
