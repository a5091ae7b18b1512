"""Finding what nobody reported: lost messages, dead replicas, processes without a row.

Runs every sweep. Everything here is also found by somebody sooner, in the ordinary case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog
from django.db.models import Count, F, Q

from core import clock, ids
from core.errors import NotFound
from deployments import publish, wakeups
from deployments.adapters import hosts
from deployments.models import Endpoint, Host, Replica, Rollout
from deployments.ports import ContainerHost, HostSilent, ObservedReplica

log = structlog.get_logger(__name__)

# A process younger than this may belong to a row that is being written.
ORPHAN_GRACE = timedelta(seconds=30)


def sweep(*, limit: int) -> int:
    """Wake what is due, oldest first and bounded; how many were woken."""
    due = Rollout.objects.filter(due_at__lte=clock.now()).order_by("due_at")
    woken = list(due.values_list("pk", flat=True)[:limit])
    for rollout_id in woken:
        wakeups.remind(rollout_id)
    endpoints = _endpoints_off_target()
    for host in Host.objects.filter(_in_use()).distinct():
        endpoints |= _patrol(host)
    for endpoint_id in endpoints:
        wakeups.wake_endpoint(endpoint_id)
    publish_admission()
    return len(woken)


def publish_admission() -> None:
    """Tell gateways of keys that have ended, were used up or may be used again."""
    for environment_id in publish.admission_differs():
        publish.publish(environment_id)


def _in_use() -> Q:
    return Q(removed_at__isnull=True) | Q(replicas__state__in=Replica.PRESENT)


def _endpoints_off_target() -> set[str]:
    """Endpoints whose stable release has another number of live copies than it should have."""
    counted = Endpoint.objects.filter(stable_release__isnull=False).annotate(
        live=Count(
            "stable_release__replicas",
            filter=Q(stable_release__replicas__state__in=Replica.LIVE),
        )
    )
    return set(counted.exclude(live=F("replicas")).values_list("pk", flat=True))


def _patrol(host: Host) -> set[str]:
    """The endpoints of copies that are not as their rows say; orphans of this host are stopped."""
    try:
        adapter = hosts.connect(host)
        observed = adapter.observe()
    except HostSilent as problem:
        Host.objects.filter(pk=host.pk).update(last_error=problem.detail)
        return set()
    Host.objects.filter(pk=host.pk).update(last_contact_at=clock.now(), last_error="")
    rows = Replica.objects.filter(host=host, state__in=[*Replica.PRESENT, Replica.State.FAILED])
    known = {row.public_id: row for row in rows.select_related("release")}
    remove_orphans(host, adapter, observed, known)
    return {
        row.release.endpoint_id
        for name, row in known.items()
        if row.state not in Replica.LIVE or not _runs(observed.get(name))
    }


def remove_orphans(
    host: Host,
    adapter: ContainerHost,
    observed: Mapping[str, ObservedReplica],
    known: Mapping[str, Replica],
) -> int:
    """Stop what runs without a row that wants it, and clear away what ended without one."""
    removed = 0
    for name in observed.keys() - known.keys():
        if not _is_old(name):
            continue
        removed += 1
        log.warning("orphan_removed", host=host.name, replica=name)
        if observed[name].running:
            adapter.stop(name, force=True)
        else:
            adapter.remove(name)
    return removed


def _is_old(public_id: str) -> bool:
    """By the time in its own id: no row is needed to know when it was made."""
    try:
        ulid = ids.parse(public_id, Replica.PREFIX)
    except NotFound:
        return False  # not of our making, so not ours to stop
    return clock.now() - ids.made_at(ulid) > ORPHAN_GRACE


def _runs(observed: ObservedReplica | None) -> bool:
    return observed is not None and observed.running
