"""Token buckets per principal: in Redis, or without it in this process at a quarter of the rate."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import redis
import structlog
from django.conf import settings

from core.errors import TooMany

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
_FALLBACK_SHARE = 4
_RETRY_REDIS_SECONDS = 2.0
_MOST_BUCKETS = 20_000
_REDIS_TIMEOUT = 0.25

# The whole decision is one script, so that concurrent requests cannot both take the last token.
# Redis' own clock is used: the web processes' clocks need not agree.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local size, rate = tonumber(ARGV[1]), tonumber(ARGV[1]) / tonumber(ARGV[2])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1]) or size, tonumber(held[2]) or now
tokens = math.min(size, tokens + math.max(0, now - at) * rate)
local allowed = tokens >= 1 and 1 or 0
tokens = tokens - allowed
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2])) + 1)
return {allowed, tostring(tokens)}
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request left in its bucket."""

    policy: str
    quota: int
    allowed: bool
    tokens: float

    @property
    def seconds_to_next(self) -> int:
        """Whole seconds until one more request is allowed; 0 when one is."""
        missing = 1 - self.tokens
        return 0 if missing <= 0 else max(1, -int(-missing * WINDOW_SECONDS // self.quota))

    @property
    def seconds_to_full(self) -> int:
        return -int(-(self.quota - self.tokens) * WINDOW_SECONDS // self.quota)

    def headers(self) -> dict[str, str]:
        left = max(0, int(self.tokens))
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={left};t={self.seconds_to_full}',
        }

    def refuse_if_over(self) -> None:
        """
        Raises:
            TooMany: the bucket was empty.
        """
        if not self.allowed:
            wait = self.seconds_to_next
            raise TooMany(
                f"More than {self.quota} requests a minute; try again in {wait} s.",
                extra={"retry_after": wait},
            )


class Buckets(Protocol):
    def take(self, key: str, size: int) -> tuple[bool, float]:
        """Take one token from the bucket `key` that holds `size` and refills in a window."""


class LocalBuckets:
    """Buckets of this process; the least recently used are dropped beyond a number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, size: int) -> tuple[bool, float]:
        now = self._clock()
        with self._lock:
            tokens, at = self._held.pop(key, (float(size), now))
            tokens = min(size, tokens + (now - at) * size / WINDOW_SECONDS)
            allowed = tokens >= 1
            tokens -= allowed
            self._held[key] = (tokens, now)
            if len(self._held) > _MOST_BUCKETS:
                self._held.popitem(last=False)
        return allowed, tokens


class RedisBuckets:
    """Buckets that all web processes share."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=_REDIS_TIMEOUT, socket_connect_timeout=_REDIS_TIMEOUT
        )
        self._take = self._client.register_script(_TAKE)

    def take(self, key: str, size: int) -> tuple[bool, float]:
        answer = self._take(keys=[f"slipway:rate:{key}"], args=[size, WINDOW_SECONDS])
        return bool(answer[0]), float(answer[1])


class Limiter:
    """Never unlimited: when the shared buckets fail, this process counts for itself."""

    def __init__(
        self,
        shared: Buckets,
        *,
        per_minute: int,
        writes_per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._local = LocalBuckets(clock)
        self._sizes = {"default": per_minute, "writes": writes_per_minute}
        self._clock = clock
        self._shared_again_at = float("-inf")

    def take(self, principal: str, *, writes: bool) -> Usage:
        policy = "writes" if writes else "default"
        size = self._sizes[policy]
        key = f"{policy}:{principal}"
        if self._clock() >= self._shared_again_at:
            try:
                return Usage(policy, size, *self._shared.take(key, size))
            except (redis.RedisError, OSError) as problem:
                self._shared_again_at = self._clock() + _RETRY_REDIS_SECONDS
                log.warning("rate_limit_without_redis", problem=str(problem))
        size = max(1, size // _FALLBACK_SHARE)
        return Usage(policy, size, *self._local.take(key, size))


@lru_cache(maxsize=1)
def limiter() -> Limiter:
    config = settings.CONFIG
    return Limiter(
        RedisBuckets(config.redis_url),
        per_minute=config.rate_limit_per_minute,
        writes_per_minute=config.rate_limit_writes_per_minute,
    )
