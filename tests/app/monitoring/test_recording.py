"""Storing windows: each closed second in one transaction, by the holder of the shard only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import clock
from deployments.models import Replica
from monitoring.domain.shards import Shard
from monitoring.models import Baseline, CollectorShard, JournalSecond, Tally, Window
from monitoring.services import recording, retention
from tests.app.monitoring.conftest import Counting, Site


def total(resolution: int) -> int:
    rows = Window.objects.filter(resolution=resolution)
    return sum(row.requests_2xx + row.requests_4xx + row.requests_5xx for row in rows)


def tallied() -> int:
    return sum(
        row.requests_2xx + row.requests_4xx + row.requests_5xx for row in Tally.objects.all()
    )


def test_a_second_is_stored_with_its_journal(site: Site):
    counting, replica = Counting(site), site.counting(0)
    replica.serve(4, failed=1)
    counting.second(replica)

    window = Window.objects.get()
    assert (window.requests_2xx, window.requests_5xx) == (4, 1)
    assert (window.release, window.endpoint) == (site.releases[0], site.endpoint)
    assert window.end - window.start == timedelta(seconds=1)
    assert JournalSecond.objects.count() == 1
    assert not Baseline.objects.exists()


def test_a_minute_is_stored_with_its_baselines_and_voids_the_journal(site: Site):
    counting, replica = Counting(site), site.counting(0)
    for _ in range(60):
        replica.serve(1)
        counting.second(replica)

    assert total(60) == total(1) == tallied() == 60
    assert not JournalSecond.objects.exists()
    baseline = Baseline.objects.get()
    assert (baseline.replica, baseline.sequence) == (site.replicas[0], 60)


def test_the_next_collector_goes_on_where_the_last_one_stored(site: Site):
    first, replica = Counting(site), site.counting(0)
    for _ in range(5):
        replica.serve(2)
        first.second(replica)
    replica.serve(3)

    second = Counting(site)
    second.second(replica)

    assert total(1) == tallied() == 13
    second.site.time[0] += 60
    second.store()
    assert total(60) == 13


def test_what_a_dead_replica_had_counted_is_kept(site: Site):
    first, gone, stays = Counting(site), site.counting(0), site.counting(1)
    gone.serve(7)
    stays.serve(2)
    first.second(gone, stays)

    second = Counting(site)
    stays.serve(1)
    second.second(stays)
    site.time[0] += 60
    second.store()

    assert total(60) == tallied() == 10


def test_a_collector_that_was_replaced_may_not_write(site: Site):
    first, replica = Counting(site), site.counting(0)
    replica.serve(5)
    first.second(replica)
    second = Counting(site)
    replica.serve(1)

    with pytest.raises(recording.Superseded):
        first.second(replica)
    second.second(replica)

    assert total(1) == tallied() == 6


def test_another_division_of_the_replicas_shuts_out_the_old_one(site: Site):
    alone, replica = Counting(site), site.counting(0)
    replica.serve(5)
    alone.second(replica)

    halves = [Counting(site, Shard(index, 2)) for index in (0, 1)]
    with pytest.raises(recording.Superseded):
        alone.second(replica)
    holder = next(half for half in halves if half.claim.shard.holds(replica.replica))
    replica.serve(1)
    holder.second(replica)

    assert total(1) == tallied() == 6
    assert CollectorShard.objects.count() == 3


def test_an_epoch_is_never_given_twice(site: Site):
    epochs = [recording.claim(Shard(0, 1)).epoch]
    recording.claim(Shard(0, 2))
    epochs.append(recording.claim(Shard(0, 1)).epoch)

    assert epochs[1] > epochs[0] + 1


def test_storing_costs_the_same_for_few_replicas_and_for_many(site: Site):
    def cost(count: int) -> int:
        counting = Counting(site)
        replicas = []
        for _ in range(count):
            row = site.replica(site.releases[0])
            each = site.counting(0)
            each.replica = row.public_id
            each.serve(1)
            replicas.append(each)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            counting.second(*replicas)
        return len(queries)

    assert cost(2) == cost(40)


def test_a_failed_transaction_can_be_repeated(site: Site, monkeypatch: pytest.MonkeyPatch):
    counting, replica = Counting(site), site.counting(0)
    replica.serve(5)
    counting.ledger.receive(replica.report(site.time[0] + 0.7), site.time[0] + 0.7)
    site.time[0] += 1
    closed = counting.ledger.close(site.time[0])
    with monkeypatch.context() as broken:
        broken.setattr(recording, "_store_tallies", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            recording.commit(counting.claim, closed)
    assert not Window.objects.exists()

    recording.commit(counting.claim, closed)

    assert total(1) == tallied() == 5


def test_old_windows_are_deleted_and_totals_stay(site: Site):
    counting, replica = Counting(site), site.counting(0)
    for _ in range(60):
        replica.serve(1)
        counting.second(replica)

    site.time[0] += 16 * 60
    retention.sweep()
    assert (total(1), total(60), tallied()) == (0, 60, 60)
    site.time[0] += 24 * 3600
    retention.sweep()
    assert (total(60), tallied()) == (0, 60)


def test_the_baseline_of_a_replica_that_may_come_back_is_kept(site: Site):
    counting = Counting(site)
    ended, silent = site.counting(0), site.counting(1)
    counting.second(ended, silent)
    site.time[0] += 60
    counting.store()
    Replica.objects.filter(pk=site.replicas[0].pk).update(state="stopped", ended_at=clock.now())

    site.time[0] += 7 * 24 * 3600
    retention.sweep()

    assert [row.replica_id for row in Baseline.objects.all()] == [site.replicas[1].pk]
