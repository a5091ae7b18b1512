"""Making an endpoint's replicas match what its rollouts and its stable release need.

1. Ask every host that matters. One that does not answer is silent: its replicas stay as they are.
2. Write down what was seen: addresses, ends with their evidence.
3. Take out of the gateways what is about to stop, then stop it; start what is missing.

Each step may be repeated, and the whole may be cut off anywhere: the row of a replica is written
before anything runs, and it is marked before anything stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from core import clock, live
from core.concurrency import compare_and_set
from core.errors import Unavailable
from deployments import publish
from deployments.domain import fleet
from deployments.domain.rollout import ReasonCode
from deployments.domain.world import ImageState
from deployments.models import Host, ImageCopy, Release, Replica
from deployments.ports import (
    ContainerHost,
    HostRefused,
    HostSilent,
    ImageMissing,
    ObservedReplica,
)
from deployments.reconcile import asking, ends, starts
from deployments.reconcile.asking import Seen
from deployments.reconcile.story import Story, read
from deployments.selectors import images

log = structlog.get_logger(__name__)

CRASHES_COUNT_FOR = timedelta(minutes=10)
# Beyond the drain wait of the replica itself: what its last requests may take.
STOP_GRACE_SECONDS = 40.0
_NOBODY = fleet.Need(0)


def converge(story: Story) -> frozenset[str]:
    """One pass over the endpoint's replicas; the ids of the hosts that did not answer."""
    seen = asking.passing(_hosts(story))
    # Hosts may have taken their time, and a lease may have run out: what is needed is read after.
    story = read(story.endpoint.pk)
    needs = fleet.needs(story.stable, story.endpoint.replicas, story.pairs())
    copies = list(_copies(story, needs))
    for copy in copies:
        # Of a removed host nobody asks any more what it still runs.
        seen.setdefault(copy.host_id, Seen(copy.host))
        _update(copy, seen[copy.host_id])
    copies = [copy for copy in copies if copy.state not in (Replica.State.STOPPED,)]
    plan = fleet.changes(needs, _as_domain(copies), clock.timestamp(), _crashes(needs))
    stopping = _mark_stopping(plan, copies, seen, _replaced(needs, copies))
    if publish.clusters_differ(story.endpoint):
        publish.publish(story.endpoint.environment_id)
        live.changed(f"endpoint:{story.endpoint.public_id}", 0)
    for copy in stopping:
        _tell(copy, seen[copy.host_id])
    for start in plan.start:
        _start(story, start, seen)
    return frozenset(each.host.pk for each in seen.values() if each.silent)


def _hosts(story: Story) -> QuerySet[Host]:
    """Those of the environment, and those that were removed while a copy was still there."""
    holding = Q(replicas__release__endpoint=story.endpoint, replicas__state__in=Replica.PRESENT)
    mine = Q(environment=story.endpoint.environment, removed_at__isnull=True)
    return Host.objects.filter(mine | holding).distinct().order_by("pk")


def _copies(story: Story, needs: Mapping[str, fleet.Need]) -> QuerySet[Replica]:
    states = [*Replica.PRESENT, Replica.State.FAILED]
    mine = Q(release__endpoint=story.endpoint) | Q(release__in=list(needs))
    found = Replica.objects.filter(mine, state__in=states)
    return found.select_related("host", "release").order_by("pk")


def _update(copy: Replica, seen: Seen) -> None:
    """Bring the row up to what its host says; the copy's own fields follow when the write won."""
    if seen.replicas is None or copy.state == Replica.State.FAILED:
        return
    observed = seen.replicas.get(copy.public_id)
    if observed is not None and observed.running:
        _located(copy, observed)
        return
    _talk(seen, copy, lambda adapter: _ended(copy, observed, seen, adapter))


def _located(copy: Replica, observed: ObservedReplica | None) -> None:
    if observed and observed.port and _where(copy) != _where(observed):
        _write(
            copy,
            address=observed.address,
            port=observed.port,
            grpc_port=observed.grpc_port,
            boot_id=observed.boot_id or copy.boot_id,
        )


def _where(one: Replica | ObservedReplica) -> tuple[str, int | None, int | None]:
    return one.address, one.port, one.grpc_port


def _ended(
    copy: Replica, observed: ObservedReplica | None, seen: Seen, adapter: ContainerHost
) -> None:
    never_ran = observed is None or (observed.exit_code is None and not observed.port)
    if copy.state == Replica.State.STARTING and never_ran:
        _run(copy, seen)  # whoever wrote the row died before it could start it
        return
    tail = _last_words(copy, adapter)
    if copy.state == Replica.State.STOPPING:
        if _write(copy, state=Replica.State.STOPPED, ended_at=clock.now(), log_tail=tail):
            adapter.remove(copy.public_id)
        return
    _failed(copy, ends.explain(copy, observed, tail), tail)


def _mark_stopping(
    plan: fleet.Changes,
    copies: list[Replica],
    seen: Mapping[str, Seen],
    replaced: frozenset[str],
) -> list[Replica]:
    """Mark what is to stop and clear away what failed; returns all that should be told to stop,
    those marked in an earlier pass included. `replaced` are the releases with copies enough."""
    by_id = {copy.pk: copy for copy in copies}
    for stop in plan.stop:
        copy = by_id[stop.replica]
        if copy.state != Replica.State.FAILED:
            _write(copy, state=Replica.State.STOPPING, ended_at=clock.now())
        elif _is_abandoned(copy):
            # It may answer although its host does not: gateways keep it until others do. What is
            # left of it when the host comes back is an orphan.
            if copy.release_id in replaced:
                _write(copy, state=Replica.State.STOPPED)
        else:
            _clear_away(copy, seen[copy.host_id])
    return [copy for copy in copies if copy.state == Replica.State.STOPPING]


def _clear_away(copy: Replica, seen: Seen) -> None:
    def clear(adapter: ContainerHost) -> None:
        adapter.remove(copy.public_id)
        _write(copy, state=Replica.State.STOPPED)

    if copy.host.removed_at is not None:
        _write(copy, state=Replica.State.STOPPED)
    else:
        _talk(seen, copy, clear)


def _replaced(needs: Mapping[str, fleet.Need], copies: list[Replica]) -> frozenset[str]:
    """Releases with as many ready copies as are needed, on hosts that nobody has given up."""
    ready = Counter(copy.release_id for copy in copies if copy.state == Replica.State.READY)
    releases = {copy.release_id for copy in copies}
    return frozenset(
        release for release in releases if ready[release] >= needs.get(release, _NOBODY).count
    )


def _is_abandoned(copy: Replica) -> bool:
    return (copy.failure or {}).get("code") == ReasonCode.HOST_ABANDONED


def _tell(copy: Replica, seen: Seen) -> None:
    patience = timedelta(seconds=settings.CONFIG.replica_drain_wait_seconds + STOP_GRACE_SECONDS)
    overdue = copy.ended_at is not None and clock.now() - copy.ended_at > patience
    _talk(seen, copy, lambda adapter: adapter.stop(copy.public_id, force=overdue))


def _talk(seen: Seen, copy: Replica, about: Callable[[ContainerHost], None]) -> None:
    """What the host does not do now is done in a later pass, which finds it again."""
    if seen.adapter is None:
        return
    try:
        about(seen.adapter)
    except HostSilent as problem:
        log.warning("host_turned_silent", host=seen.host.name, problem=problem.detail)
        seen.turns_silent()
    except HostRefused as problem:
        log.warning("host_refused", replica=copy.public_id, problem=problem.detail)


def _last_words(copy: Replica, adapter: ContainerHost) -> str:
    """A log that cannot be read must not keep an end from being seen."""
    try:
        return adapter.log(copy.public_id, lines=50)
    except HostRefused as problem:
        return f"The host does not give its log: {problem.detail}"


def _start(story: Story, start: fleet.Start, seen: Mapping[str, Seen]) -> None:
    release = Release.objects.select_related("image").get(pk=start.release)
    if release.image and _image_is_on_its_way(release):
        return  # the rollout says so
    chosen = _place(story, release, seen)
    if chosen is None or chosen.adapter is None:
        log.warning("no_host_for_replica", endpoint=story.endpoint.public_id)
        return
    try:
        with transaction.atomic():
            copy = Replica.objects.create(release=release, host=chosen.host, slot=start.slot)
    except IntegrityError:
        return  # another worker has filled this slot
    _run(copy, chosen)


def _run(copy: Replica, seen: Seen) -> None:
    if seen.adapter is None:
        return
    try:
        _located(copy, starts.run(copy, seen.adapter))
    except ImageMissing as problem:
        ImageCopy.objects.filter(host=copy.host_id, image=copy.release.image_id).delete()
        _failed(copy, ends.not_started(problem))
    except HostRefused as problem:
        _failed(copy, ends.not_started(problem))
    except Unavailable as problem:
        log.warning("replica_not_started", replica=copy.public_id, problem=problem.detail)
        if isinstance(problem, HostSilent):
            seen.turns_silent()


def _failed(copy: Replica, failure: dict[str, object], tail: str = "") -> None:
    log.warning("replica_ended", replica=copy.public_id, code=failure["code"])
    _write(copy, state=Replica.State.FAILED, ended_at=clock.now(), failure=failure, log_tail=tail)


def _image_is_on_its_way(release: Release) -> bool:
    """Until every host has had its chance to get it, the first copies would crowd where it was
    built. Later ones do not wait: they replace what is missing."""
    if Replica.objects.filter(release=release, state__in=Replica.PRESENT).exists():
        return False
    return images.view(release.pk).state is ImageState.WAITING


def _place(story: Story, release: Release, seen: Mapping[str, Seen]) -> Seen | None:
    """The answering host with the most free room, in proportion to its capacity, of those that can
    run the release: with an image the Docker hosts that have it, without one process hosts."""
    able = set(seen)
    if release.image_id:
        able &= set(ImageCopy.objects.filter(image=release.image_id).values_list("host", flat=True))
    used = Counter(
        Replica.objects.filter(state__in=Replica.PRESENT, host__in=list(seen)).values_list(
            "host_id", flat=True
        )
    )
    free = [
        (1 - used[each.host.pk] / each.host.capacity, each.host.pk)
        for each in seen.values()
        if each.adapter
        and each.host.pk in able
        and (each.host.kind != Host.Kind.PROCESS) == bool(release.image_id)
        and each.host.removed_at is None
        and each.host.environment_id == story.endpoint.environment_id
        and used[each.host.pk] < each.host.capacity
    ]
    return seen[max(free)[1]] if free else None


def _as_domain(copies: list[Replica]) -> list[fleet.Replica]:
    return [
        fleet.Replica(copy.pk, copy.release_id, copy.slot, fleet.ReplicaState(copy.state))
        for copy in copies
    ]


def _crashes(needs: Mapping[str, fleet.Need]) -> dict[str, fleet.Crashes]:
    since = clock.now() - CRASHES_COUNT_FOR
    failed = (
        Replica.objects.filter(release__in=list(needs), ended_at__gte=since)
        .exclude(failure__isnull=True)
        .exclude(failure__code=ReasonCode.HOST_ABANDONED)
        .values_list("release_id", "ended_at")
    )
    found: dict[str, fleet.Crashes] = {}
    for release, ended_at in failed:
        before = found.get(release, fleet.Crashes(0, 0.0))
        latest = ended_at.timestamp() if ended_at else 0.0
        found[release] = fleet.Crashes(before.count + 1, max(before.last_at, latest))
    return found


def _write(copy: Replica, **new: object) -> bool:
    """Conditional: the collector and other workers write replicas as well."""
    if not compare_and_set(copy, revision=copy.revision, **new):
        copy.refresh_from_db()
        return False
    for name, value in new.items():
        setattr(copy, name, value)
    copy.revision += 1
    return True
