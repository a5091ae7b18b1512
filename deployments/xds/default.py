"""The xDS app as web runs it; the composition root mounts it. Needs Django to be set up."""

from __future__ import annotations

from django.conf import settings

from deployments.adapters.gateway_validate import explain_rejection
from deployments.xds.app import XdsApp
from deployments.xds.store import DjangoSnapshotStore, certify, tell_rollouts
from deployments.xds.watcher import Watcher


def _application() -> XdsApp:
    store = DjangoSnapshotStore()
    # Without Redis a change is seen within half a second.
    config = settings.CONFIG
    watcher = Watcher(store, every=config.xds_check_seconds, redis_url=config.redis_url)
    return XdsApp(
        store,
        explain=explain_rejection,
        on_news=tell_rollouts,
        certify=certify,
        watcher=watcher,
        hold=config.xds_hold_seconds,
    )


app = _application()
