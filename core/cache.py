"""The cache in Redis, and in this process while Redis does not answer.

What lives here may be lost at any time (sign-in limits, signs of life), but asking for it must not
fail: nobody should be locked out because Redis is down, and no limit should be gone with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
import structlog
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 2.0
_FAILURES = (redis.RedisError, OSError)


class SteadyCache(RedisCache):
    """Every operation goes to Redis, or for a while to this process after Redis has failed."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("slipway-without-redis", params)
        self._again_at = 0.0

    def _try(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self._again_at:
            shared: Callable[..., Any] = getattr(super(), name)
            try:
                return shared(*args, **kwargs)
            except _FAILURES as problem:
                self._again_at = time.monotonic() + _RETRY_SECONDS
                log.warning("cache_without_redis", problem=str(problem))
        return getattr(self._own, name)(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try("add", *args, **kwargs))

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._try("get", *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._try("set", *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try("touch", *args, **kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try("delete", *args, **kwargs))

    def get_many(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = self._try("get_many", *args, **kwargs)
        return found

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try("has_key", *args, **kwargs))

    def incr(self, *args: Any, **kwargs: Any) -> int:
        return int(self._try("incr", *args, **kwargs))

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        return list(self._try("set_many", *args, **kwargs))

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        self._try("delete_many", *args, **kwargs)

    def clear(self) -> None:
        self._try("clear")
