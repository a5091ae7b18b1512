"""Counting requests: fair, never unlimited, with or without Redis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from core.api.ratelimit import Limiter, LocalBuckets, Usage
from core.errors import TooMany


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Down:
    """Redis that does not answer, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def take(self, key: str, size: int) -> tuple[bool, float]:
        self.asked += 1
        raise redis.ConnectionError("down")


@pytest.fixture
def time() -> Time:
    return Time()


def limiter(shared: object, clock: Callable[[], float]) -> Limiter:
    return Limiter(shared, per_minute=60, writes_per_minute=8, clock=clock)  # type: ignore[arg-type]


def allowed(limiter: Limiter, who: str, *, writes: bool, times: int) -> int:
    return sum(limiter.take(who, writes=writes).allowed for _ in range(times))


def test_a_bucket_lets_its_size_through_and_then_refills(time: Time) -> None:
    counting = limiter(LocalBuckets(time), time)
    assert allowed(counting, "alice", writes=False, times=100) == 60
    time.now += 10
    assert allowed(counting, "alice", writes=False, times=100) == 10
    time.now += 3600
    assert allowed(counting, "alice", writes=False, times=100) == 60


def test_reading_and_writing_are_counted_apart_and_so_are_callers(time: Time) -> None:
    counting = limiter(LocalBuckets(time), time)
    assert allowed(counting, "alice", writes=True, times=20) == 8
    assert allowed(counting, "alice", writes=False, times=1) == 1
    assert allowed(counting, "bob", writes=True, times=20) == 8


def test_without_redis_this_process_counts_at_a_quarter_of_the_rate(time: Time) -> None:
    counting = limiter(Down(), time)
    assert allowed(counting, "alice", writes=False, times=100) == 15
    assert allowed(counting, "alice", writes=True, times=100) == 2


def test_redis_is_asked_again_only_after_a_while(time: Time) -> None:
    down = Down()
    counting = limiter(down, time)
    allowed(counting, "alice", writes=False, times=50)
    assert down.asked == 1
    time.now += 2
    allowed(counting, "alice", writes=False, times=50)
    assert down.asked == 2


def test_a_caller_is_told_how_much_is_left_and_when_to_come_back() -> None:
    usage = Usage("default", 60, True, 20.5)
    assert usage.headers() == {
        "RateLimit-Policy": '"default";q=60;w=60',
        "RateLimit": '"default";r=20;t=40',
    }
    usage.refuse_if_over()
    empty = Usage("writes", 8, False, 0.2)
    assert empty.headers()["RateLimit"] == '"writes";r=0;t=59'
    with pytest.raises(TooMany) as refusal:
        empty.refuse_if_over()
    assert refusal.value.extra == {"retry_after": 6}


def test_the_buckets_of_a_process_do_not_grow_for_ever(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.api.ratelimit._MOST_BUCKETS", 10)
    buckets = LocalBuckets(time)
    for number in range(100):
        buckets.take(str(number), 5)
    assert len(buckets._held) == 10
