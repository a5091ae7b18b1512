"""What keys use is counted once, whoever dies in between, and whoever uses one up is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import clock
from deployments import wakeups
from deployments.models import EndpointKey, KeyUsage
from monitoring.domain.shards import Shard
from monitoring.services import retention
from tests.app.monitoring.conftest import BEGIN, Counting, Site


@pytest.fixture
def key(site: Site) -> EndpointKey:
    return make_key(site)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(wakeups, "admission_changed", lambda: found.append("admission"))
    return found


def make_key(site: Site, **given: Any) -> EndpointKey:
    made = EndpointKey.objects.create(
        environment=site.endpoint.environment,
        name="ward 7",
        expires_at=clock.now() + timedelta(days=90),
        **given,
    )
    made.endpoints.add(site.endpoint)
    return made


def used(key: EndpointKey) -> int:
    return sum(KeyUsage.objects.filter(key=key).values_list("requests", flat=True))


def test_requests_are_added_to_the_day_of_their_key_and_endpoint(
    site: Site, key: EndpointKey
) -> None:
    counting, replica = Counting(site), site.counting(0)
    other = site.counting(1)
    replica.serve(3, key=key.public_id)
    other.serve(2, failed=1, key=key.public_id)
    replica.serve(9)
    counting.second(replica, other)
    counting.second(replica, other)

    row = KeyUsage.objects.get()
    assert (row.key, row.endpoint, row.requests) == (key, site.endpoint, 6)
    assert row.day == datetime.fromtimestamp(BEGIN, UTC).date()
    key.refresh_from_db()
    assert key.last_used_at == datetime.fromtimestamp(BEGIN + 0.7, UTC)


def test_a_new_day_begins_with_a_new_row(site: Site, key: EndpointKey) -> None:
    counting, replica = Counting(site), site.counting(0)
    replica.serve(3, key=key.public_id)
    counting.second(replica)
    site.time[0] += 86_400
    replica.serve(4, key=key.public_id)
    counting.second(replica)
    assert list(KeyUsage.objects.order_by("day").values_list("requests", flat=True)) == [3, 4]


def test_a_collector_that_dies_makes_no_request_count_twice(site: Site, key: EndpointKey) -> None:
    first, replica = Counting(site), site.counting(0)
    for _ in range(3):
        replica.serve(2, key=key.public_id)
        first.second(replica)
    replica.serve(5, key=key.public_id)

    second = Counting(site)
    second.second(replica)
    second.second(replica)
    site.time[0] += 60
    second.store()
    third = Counting(site)
    third.second(replica)

    assert used(key) == 11


def test_two_collectors_add_to_the_same_row(site: Site, key: EndpointKey) -> None:
    """Each has one of the replicas, whichever of the two it is."""
    halves = [Counting(site, Shard(index, 2)) for index in (0, 1)]
    for half, replica in zip(halves, (site.counting(0), site.counting(1)), strict=True):
        replica.serve(4, key=key.public_id)
        half.second(replica)
    assert used(key) == 8
    assert KeyUsage.objects.count() == 1


@pytest.mark.parametrize("name", ["", "others", "key_", "key_01JD0000000000000000000001"])
def test_what_has_never_been_a_key_counts_nothing(site: Site, name: str) -> None:
    counting, replica = Counting(site), site.counting(0)
    replica.serve(4)
    replica.keys[name] += 4
    counting.second(replica)
    assert not KeyUsage.objects.exists()


def test_the_gateways_are_told_when_a_key_is_used_up_and_only_then(
    site: Site, woken: list[str]
) -> None:
    key = make_key(site, requests_per_day=10)
    counting, replica = Counting(site), site.counting(0)
    told = []
    for requests in (9, 1, 1, 30):
        replica.serve(requests, key=key.public_id)
        counting.second(replica)
        told.append(len(woken))
    assert told == [0, 1, 1, 1]
    assert used(key) == 41


def test_old_days_are_deleted(site: Site, key: EndpointKey) -> None:
    today = clock.now().date()
    for days in (0, 399, 401):
        KeyUsage.objects.create(
            key=key, endpoint=site.endpoint, day=today - timedelta(days=days), requests=1
        )
    retention.sweep()
    assert used(key) == 2
