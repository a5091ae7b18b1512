"""From a host's row to the adapter that talks to it."""

from __future__ import annotations

from django.conf import settings

from deployments.adapters.process_host import ProcessHost
from deployments.models import Host
from deployments.ports import ContainerHost, HostSilent


def connect(host: Host) -> ContainerHost:
    """The adapter for this host. Opening it costs nothing; its methods do the talking.

    Raises:
        HostSilent: the settings no longer allow this kind, so nobody may talk to it.
    """
    if host.kind != Host.Kind.PROCESS or not settings.CONFIG.process_hosts_allowed:
        raise HostSilent(f"Hosts of kind {host.kind!r} are not allowed by the settings.")
    return ProcessHost(
        name=host.public_id,
        root=settings.HOME / "replicas",
        source=settings.BASE_DIR,
        memory_bytes=settings.CONFIG.replica_memory_bytes,
        drain_wait_seconds=settings.CONFIG.replica_drain_wait_seconds,
    )
