"""Buckets in Redis do what buckets in the process do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.api.ratelimit import Buckets, LocalBuckets, RedisBuckets


@pytest.fixture(params=["process", "redis"])
def buckets(request: pytest.FixtureRequest) -> Iterator[Buckets]:
    if request.param == "process":
        yield LocalBuckets()
        return
    yield RedisBuckets(request.getfixturevalue("redis_url"))


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


def test_a_bucket_lets_through_what_it_holds_and_no_more(buckets: Buckets, key: str) -> None:
    # One a minute comes back, so slowly that none does during the test.
    answers = [buckets.take(key, 1)[0] for _ in range(3)]
    assert answers == [True, False, False]


def test_what_is_left_goes_down_by_one(buckets: Buckets, key: str) -> None:
    lefts = [buckets.take(key, 3)[1] for _ in range(3)]
    assert lefts == pytest.approx([2, 1, 0], abs=0.2)


def test_of_many_at_once_no_more_get_through_than_it_holds(buckets: Buckets, key: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: buckets.take(key, 10)[0], range(100)))
    assert 10 <= sum(answers) <= 11


def test_buckets_are_apart(buckets: Buckets, key: str) -> None:
    buckets.take(key, 1)
    assert buckets.take(f"{key}-other", 1)[0]
