"""The cache works, with Redis and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.cache import SteadyCache

NOBODY = "redis://127.0.0.1:1/0"


def made(url: str) -> SteadyCache:
    cache = SteadyCache(url, {"KEY_PREFIX": "test", "OPTIONS": {}})
    cache.clear()
    return cache


@pytest.fixture(params=["redis", "no redis"])
def cache(request: pytest.FixtureRequest) -> Iterator[SteadyCache]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else NOBODY
    steady = made(url)
    yield steady
    steady.clear()
    steady.close()


def test_what_was_set_is_there_and_what_was_deleted_is_not(cache: SteadyCache) -> None:
    cache.set("a", [1, "x"], 60)
    assert cache.get("a") == [1, "x"]
    assert cache.has_key("a")
    assert cache.delete("a")
    assert cache.get("a", "nothing") == "nothing"


def test_only_the_first_adds(cache: SteadyCache) -> None:
    assert cache.add("a", 1, 60)
    assert not cache.add("a", 2, 60)
    assert cache.get("a") == 1


def test_counting_counts(cache: SteadyCache) -> None:
    cache.set("n", 1, 60)
    assert [cache.incr("n"), cache.incr("n", 5)] == [2, 7]
    assert cache.touch("n", 60)


def test_many_at_once(cache: SteadyCache) -> None:
    cache.set_many({"a": 1, "b": 2}, 60)
    cache.delete_many(["a"])
    assert cache.get_many(["a", "b"]) == {"b": 2}


def test_redis_that_comes_back_is_used_again(redis_url: str) -> None:
    cache = made(redis_url)
    cache.set("a", "shared", 60)
    cache._again_at = float("inf")
    assert cache.get("a") is None
    cache._again_at = 0.0
    assert cache.get("a") == "shared"
    cache.close()
