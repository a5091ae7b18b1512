"""Finding what nobody reported: lost messages, dead replicas, processes without a row.

Runs every sweep. Everything here is also found by somebody sooner, in the ordinary case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, F, Q

from core import clock, ids, live
from core.concurrency import lease
from core.errors import NotFound
from deployments import publish, wakeups
from deployments.models import Endpoint, Host, Replica, Rollout
from deployments.ports import ContainerHost, HostRefused, HostSilent, ObservedReplica
from deployments.reconcile import asking
from deployments.reconcile.asking import Seen

log = structlog.get_logger(__name__)

# A process younger than this may belong to a row that is being written.
ORPHAN_GRACE = timedelta(seconds=30)
FACTS_SECONDS = 60


def sweep(*, limit: int) -> int:
    """Wake what is due, oldest first and bounded; how many were woken."""
    due = Rollout.objects.filter(due_at__lte=clock.now()).order_by("due_at")
    woken = list(due.values_list("pk", flat=True)[:limit])
    for rollout_id in woken:
        wakeups.remind(rollout_id)
    publish_admission()
    endpoints = _endpoints_off_target()
    # Hosts that hang take their time. Sweeps that come meanwhile do the rest and leave these alone,
    # so that they never hold up more than one worker.
    with lease("patrol", "hosts", ttl=settings.CONFIG.lease_seconds) as held:
        if held:
            endpoints |= _patrol_hosts()
    for endpoint_id in endpoints:
        wakeups.wake_endpoint(endpoint_id)
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


def _patrol_hosts() -> set[str]:
    """The endpoints of copies that are not as their rows say."""
    rows = list(Host.objects.filter(_in_use()).distinct())
    seen = asking.patrolling(rows, frozenset(host.pk for host in rows if _wants_facts(host)))
    return {endpoint for each in seen.values() for endpoint in _patrol(each)}


def _wants_facts(host: Host) -> bool:
    """Now and then; one without a base image may get it any moment."""
    if host.kind == Host.Kind.DOCKER and not host.engine.get("base_id"):
        return True
    return not cache.has_key(_facts_note(host))


def _patrol(seen: Seen) -> set[str]:
    """The endpoints of this host's copies; its orphans are stopped."""
    host = seen.host
    if seen.adapter is None or seen.replicas is None:
        return set()
    if host.last_error:
        # Whoever was held up by its silence may go on.
        wakeups.gateway_acknowledged(host.environment_id)
    _keep_facts(seen)
    rows = Replica.objects.filter(host=host, state__in=[*Replica.PRESENT, Replica.State.FAILED])
    known = {row.public_id: row for row in rows.select_related("release")}
    try:
        remove_orphans(host, seen.adapter, seen.replicas, known)
    except (HostSilent, HostRefused) as problem:
        log.warning("orphan_not_removed", host=host.name, problem=problem.detail)
    return {
        row.release.endpoint_id
        for name, row in known.items()
        if row.state not in Replica.LIVE or not _runs(seen.replicas.get(name))
    }


def _keep_facts(seen: Seen) -> None:
    if seen.facts is None:
        return
    cache.set(_facts_note(seen.host), True, FACTS_SECONDS)
    facts = seen.facts.to_json()
    if facts != seen.host.engine:
        Host.objects.filter(pk=seen.host.pk).update(engine=facts)
        live.changed("fleet", seen.host.revision)


def _facts_note(host: Host) -> str:
    return f"host-facts:{host.pk}"


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
