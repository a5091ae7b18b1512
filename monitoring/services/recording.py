"""Storing what a collector counted, each closed second in one transaction.

A collector first claims its shard. The claim raises the shard's epoch, and every later write asks
whether that epoch still stands: a collector that was believed dead and is not can write nothing
more. What the previous holder had stored but not yet checkpointed is settled on the way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from core import clock, ids
from core.errors import Conflict
from deployments.models import Release, Replica
from monitoring.domain.codec import (
    pack_counts,
    pack_entry,
    pack_latency,
    unpack_counts,
    unpack_entry,
    unpack_latency,
)
from monitoring.domain.ledger import Checkpoint, Closed, Mark, Second, settle
from monitoring.domain.shards import Shard
from monitoring.domain.windows import MINUTE, SECOND
from monitoring.domain.windows import Window as Counted
from monitoring.models import Baseline, CollectorShard, JournalSecond, Tally, Window
from monitoring.services import usage
from wire.report import Counts


class Superseded(Conflict):
    """Another collector has claimed this shard."""

    code = "collector:superseded"
    title = "Another collector has taken over"


@dataclass(slots=True)
class Claim:
    """The right to write for one shard, and what its holder has to remember to do so."""

    shard: Shard
    epoch: int
    marks: tuple[Mark, ...] = ()
    tallies: dict[str, Counts] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)


def claim(shard: Shard) -> Claim:
    """Take over a shard. Shards of another division (0/1 before, 0/2 and 1/2 now) are settled and
    their holders shut out too, so that no replica is counted by two."""
    epoch = _settle(shard)
    others = CollectorShard.objects.exclude(name=str(shard)).values_list("name", flat=True)
    for other in others:
        if Shard.parse(other).of != shard.of:
            _settle(Shard.parse(other))
    return Claim(shard, epoch, tuple(_marks(shard)), _tallies(shard))


def commit(claimed: Claim, closed: Sequence[Closed]) -> None:
    """Store all of `closed`, or nothing of it. May be repeated after a failure.

    Raises:
        Superseded: the claim no longer stands; stop counting.
    """
    gained = _gained(closed)
    with transaction.atomic():
        _still_holds(claimed)
        _learn_endpoints(claimed, closed)
        for each in closed:
            if isinstance(each, Second):
                _store_windows(claimed, each.windows, SECOND)
                entries = [pack_entry(entry) for entry in each.entries]
                JournalSecond.objects.create(shard_id=str(claimed.shard), entries=entries)
                usage.add(each.entries, claimed.endpoints)
            else:
                _store_checkpoint(claimed, each)
        grown = {r: claimed.tallies.get(r, Counts()).merge(more) for r, more in gained.items()}
        _store_tallies(claimed.shard, grown)
    claimed.tallies |= grown


def _settle(shard: Shard) -> int:
    """Raise the epoch and checkpoint what is in the journal, in one transaction; the new epoch.

    The row stays for ever: an epoch that started anew would let an old holder back in.
    """
    with transaction.atomic():
        row, _ = CollectorShard.objects.get_or_create(name=str(shard))
        CollectorShard.objects.filter(pk=row.pk).update(epoch=F("epoch") + 1, beat_at=clock.now())
        epoch = CollectorShard.objects.values_list("epoch", flat=True).get(pk=row.pk)
        journal = JournalSecond.objects.filter(shard=row).order_by("pk")
        entries = [
            unpack_entry(packed)
            for second in journal.values_list("entries", flat=True)
            for packed in second
        ]
        replicas = {ids.parse(entry.replica, Replica.PREFIX) for entry in entries}
        marks = list(_marks(None, replicas))
        claimed = Claim(shard, epoch)
        closed = settle(marks, entries)
        _learn_endpoints(claimed, closed)
        for each in closed:
            if isinstance(each, Checkpoint):
                _store_checkpoint(claimed, each)
        journal.delete()
    return epoch


def _still_holds(claimed: Claim) -> None:
    """Locks the shard's row until the transaction ends."""
    standing = CollectorShard.objects.filter(name=str(claimed.shard), epoch=claimed.epoch)
    if not standing.update(beat_at=clock.now()):
        raise Superseded(f"Another collector has taken over shard {claimed.shard}.")


def _marks(shard: Shard | None, replicas: Iterable[str] | None = None) -> Iterable[Mark]:
    rows = Baseline.objects.all()
    if replicas is not None:
        rows = rows.filter(replica__in=list(replicas))
    fields = ("replica_id", "replica__release_id", "boot_id", "sequence", "at", "counts")
    for replica, release, boot_id, sequence, at, counts in rows.values_list(*fields):
        name = ids.public(Replica.PREFIX, replica)
        if shard is None or shard.holds(name):
            public = ids.public(Release.PREFIX, release)
            yield Mark(name, public, boot_id, sequence, at, unpack_counts(counts))


def _tallies(shard: Shard) -> dict[str, Counts]:
    return {
        ids.public(Release.PREFIX, row.release_id): Counts(
            requests={"2xx": row.requests_2xx, "4xx": row.requests_4xx, "5xx": row.requests_5xx},
            refused=row.refused,
            smoke=row.smoke,
            rows=row.rows,
            latency=unpack_latency(row.latency),
        )
        for row in Tally.objects.filter(shard=str(shard))
    }


def _gained(closed: Sequence[Closed]) -> dict[str, Counts]:
    gained: dict[str, Counts] = {}
    for each in closed:
        if isinstance(each, Second):
            for window in each.windows:
                if window.counts.total_requests or window.counts.smoke:
                    before = gained.get(window.release, Counts())
                    gained[window.release] = before.merge(window.counts)
    return gained


def _learn_endpoints(claimed: Claim, closed: Sequence[Closed]) -> None:
    """A release's endpoint never changes: one query for each release, ever."""
    named = {window.release for each in closed for window in each.windows}
    unknown = [ids.parse(name, Release.PREFIX) for name in named - claimed.endpoints.keys()]
    if unknown:
        rows = Release.objects.filter(pk__in=unknown).values_list("pk", "endpoint_id")
        claimed.endpoints |= {ids.public(Release.PREFIX, pk): endpoint for pk, endpoint in rows}


def _store_windows(claimed: Claim, windows: Sequence[Counted], resolution: int) -> None:
    Window.objects.bulk_create(
        Window(
            release_id=ids.parse(window.release, Release.PREFIX),
            endpoint_id=claimed.endpoints[window.release],
            resolution=resolution,
            start=datetime.fromtimestamp(window.start, UTC),
            end=datetime.fromtimestamp(window.end, UTC),
            shard=str(claimed.shard),
            **_columns(window.counts),
        )
        for window in windows
    )


def _store_checkpoint(claimed: Claim, checkpoint: Checkpoint) -> None:
    _store_windows(claimed, checkpoint.windows, MINUTE)
    Baseline.objects.bulk_create(
        [
            Baseline(
                replica_id=ids.parse(mark.replica, Replica.PREFIX),
                boot_id=mark.boot_id,
                sequence=mark.sequence,
                at=mark.at,
                counts=pack_counts(mark.counts),
            )
            for mark in checkpoint.marks
        ],
        update_conflicts=True,
        unique_fields=["replica", "boot_id"],
        update_fields=["sequence", "at", "counts"],
    )
    JournalSecond.objects.filter(shard_id=str(claimed.shard)).delete()


def _store_tallies(shard: Shard, tallies: Mapping[str, Counts]) -> None:
    Tally.objects.bulk_create(
        [
            Tally(
                release_id=ids.parse(release, Release.PREFIX),
                shard=str(shard),
                **_columns(counts),
            )
            for release, counts in tallies.items()
        ],
        update_conflicts=True,
        unique_fields=["release", "shard"],
        update_fields=list(_columns(Counts())),
    )


def _columns(counts: Counts) -> dict[str, Any]:
    return {
        "requests_2xx": counts.requests.get("2xx", 0),
        "requests_4xx": counts.requests.get("4xx", 0),
        "requests_5xx": counts.requests.get("5xx", 0),
        "smoke": counts.smoke,
        "rows": counts.rows,
        "refused": dict(counts.refused),
        "latency": pack_latency(counts.latency),
    }
