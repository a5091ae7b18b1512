"""The xDS app as web runs it. The composition root mounts it at every path below `polls.PREFIX`."""

from __future__ import annotations

from deployments.adapters.gateway_validate import explain_rejection
from deployments.xds.app import XdsApp
from deployments.xds.store import DjangoSnapshotStore, tell_rollouts
from deployments.xds.watcher import Watcher


def application(*, redis_url: str | None) -> XdsApp:
    """Import only after Django is set up. Without Redis a change is seen within half a second."""
    store = DjangoSnapshotStore()
    return XdsApp(
        store,
        explain=explain_rejection,
        on_news=tell_rollouts,
        watcher=Watcher(store, redis_url=redis_url),
    )
