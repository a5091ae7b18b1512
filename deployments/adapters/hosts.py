"""From a host's row to the adapter that talks to it."""

from __future__ import annotations

import json

from django.conf import settings

from core import installation
from core.errors import Broken
from deployments.adapters import docker_client
from deployments.adapters.docker_host import DockerHost
from deployments.adapters.process_host import ProcessHost
from deployments.domain import engines
from deployments.domain.engines import Credentials
from deployments.models import Host
from deployments.ports import ContainerHost, HostSilent, ImageStore

_PURPOSE = "engine-tls"


def connect(host: Host) -> ContainerHost:
    """The adapter for this host. Opening it costs nothing; its methods do the talking.

    Raises:
        HostSilent: the settings do not allow it (any more), or its credentials cannot be opened,
            so nobody may talk to it.
    """
    return _docker(host) if host.kind == Host.Kind.DOCKER else _process(host)


def image_store(host: Host) -> ImageStore:
    """The images of a Docker host.

    Raises:
        HostSilent: as `connect`, or it is a host that has none.
    """
    if host.kind != Host.Kind.DOCKER:
        raise HostSilent(f"A host of kind {host.kind!r} holds no images.")
    return _docker(host)


def seal(host: Host, credentials: Credentials | None) -> str:
    """The credentials as its row keeps them; they open for this host only."""
    if credentials is None:
        return ""
    plain = {
        "authority": credentials.authority,
        "certificate": credentials.certificate,
        "key": credentials.key,
    }
    return settings.KEYS.seal(_PURPOSE, json.dumps(plain).encode(), host.pk)


def _process(host: Host) -> ProcessHost:
    if host.kind != Host.Kind.PROCESS or not settings.CONFIG.process_hosts_allowed:
        raise HostSilent(f"Hosts of kind {host.kind!r} are not allowed by the settings.")
    return ProcessHost(
        name=host.public_id,
        root=settings.HOME / "replicas",
        source=settings.BASE_DIR,
        memory_bytes=settings.CONFIG.replica_memory_bytes,
        drain_wait_seconds=settings.CONFIG.replica_drain_wait_seconds,
    )


def _docker(host: Host) -> DockerHost:
    try:
        address = engines.parse(host.address)
    except engines.BadAddress as problem:
        raise HostSilent(str(problem)) from None
    credentials = _unsealed(host)
    if credentials is None and not may_be_plain(address):
        raise HostSilent("Plain TCP to an Engine of another machine is not allowed.")
    engine = docker_client.engine(
        host.address,
        credentials,
        seconds=settings.CONFIG.host_timeout_seconds,
        ssh_config=settings.CONFIG.ssh_config,
    )
    return DockerHost(
        engine=engine,
        owner=installation.identity(settings.HOME),
        name=host.public_id,
        publish_address=host.publish_address,
        base_image=settings.CONFIG.base_image,
        drain_wait_seconds=settings.CONFIG.replica_drain_wait_seconds,
        waits_to_close=address.kind == "ssh",
    )


def may_be_plain(address: engines.EngineAddress) -> bool:
    """Whether an Engine may be talked to there without TLS."""
    return address.kind == "ssh" or address.is_here or settings.CONFIG.allow_plain_tcp_hosts


def _unsealed(host: Host) -> Credentials | None:
    if not host.sealed_tls:
        return None
    try:
        plain = json.loads(settings.KEYS.unseal(_PURPOSE, host.sealed_tls, host.pk))
    except Broken as problem:
        raise HostSilent(problem.detail) from problem
    return Credentials(**plain)
