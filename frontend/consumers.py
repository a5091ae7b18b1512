"""One websocket per browser tab, with as many subscriptions as the page has regions.

It carries hints and chart frames, never the only copy of anything. What arrives from the channel
layer goes into the coalescer at once; one task sends. So a slow browser holds up nobody, and the
layer's queue, which is unbounded, is always drained.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, ClassVar

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth import get_user_model

from core import clock
from core.errors import ControlPlaneError, NotAllowed, NotFound
from core.live import group_name
from frontend import topics
from frontend.coalescer import Coalescer
from governance.domain.catalogue import SIGNED_IN
from governance.selectors import actors

log = structlog.get_logger(__name__)

NOT_SIGNED_IN = 4401
NOT_ALLOWED = 4403
NOT_FOUND = 4404
TOO_SLOW = 1013

MOST_TOPICS = 64
MOST_BYTES = 64 * 1024
MOST_MESSAGES_PER_SECOND = 20
RECHECK_SECONDS = 60.0
SEND_SECONDS = 5.0
PAUSE_SECONDS = 0.1


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Accepts first and closes after: a code sent before the handshake never reaches the page."""

    action: ClassVar[str] = SIGNED_IN

    async def connect(self) -> None:
        self.topics: set[str] = set()
        self.waiting = Coalescer()
        self.something = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.second, self.received = 0, 0
        await self.accept()
        if not self.scope["user"].is_authenticated:
            await self.close(code=NOT_SIGNED_IN)
            return
        self.tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._recheck())]

    async def disconnect(self, code: int) -> None:
        del code
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for topic in self.topics:
            await self.channel_layer.group_discard(group_name(topic), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.tasks:
            return
        if text_data is None or len(text_data) > MOST_BYTES or self._flooding():
            await self.close(code=TOO_SLOW)
            return
        kind, asked = _parse(text_data)
        if kind == "subscribe":
            await self._subscribe(asked)
        elif kind == "unsubscribe":
            await self._unsubscribe(asked)

    async def live_changed(self, message: dict[str, Any]) -> None:
        if message["topic"] in self.topics:
            self.waiting.event(message["topic"], message["revision"])
            self.something.set()

    async def live_frame(self, message: dict[str, Any]) -> None:
        if message["topic"] in self.topics:
            self.waiting.frame(message["topic"], message["points"])
            self.something.set()

    async def _subscribe(self, asked: list[str]) -> None:
        added = [topic for topic in asked if topic not in self.topics]
        if len(self.topics) + len(added) > MOST_TOPICS:
            await self.close(code=NOT_ALLOWED)
            return
        if (code := await database_sync_to_async(self._refusal)(added)) is not None:
            await self.close(code=code)
            return
        for topic in added:
            self.topics.add(topic)
            await self.channel_layer.group_add(group_name(topic), self.channel_name)
        # The page compares what it shows with what is, now that nothing can be missed any more.
        for topic in added:
            self.waiting.event(topic, 0)
        self.something.set()

    async def _unsubscribe(self, asked: list[str]) -> None:
        for topic in self.topics.intersection(asked):
            await self.channel_layer.group_discard(group_name(topic), self.channel_name)
            self.topics.discard(topic)
            self.waiting.forget(topic)

    async def _pump(self) -> None:
        """Sends what waits, in bunches; gives a browser that takes nothing up."""
        while True:
            await self.something.wait()
            self.something.clear()
            for message in self.waiting.take():
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await self.send(text_data=json.dumps(message, separators=(",", ":")))
                except TimeoutError:
                    log.info("live_too_slow", user=self.scope["user"].pk)
                    with suppress(Exception):
                        await self.close(code=TOO_SLOW)
                    return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _recheck(self) -> None:
        """Roles end and people leave: what was allowed at first may not be any more."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if (code := await database_sync_to_async(self._refusal)(list(self.topics))) is not None:
                await self.close(code=code)
                return

    def _refusal(self, asked: list[str]) -> int | None:
        """The code to close with, or None when all of it is allowed."""
        user = get_user_model().objects.filter(pk=self.scope["user"].pk).first()
        if user is None or not user.is_active:
            return NOT_SIGNED_IN
        if not self.scope["session"].exists(self.scope["session"].session_key or ""):
            return NOT_SIGNED_IN
        actor = actors.of_user(user)
        try:
            for topic in asked:
                topics.require(actor, topic)
        except NotFound:
            return NOT_FOUND
        except (NotAllowed, ControlPlaneError):
            return NOT_ALLOWED
        return None

    def _flooding(self) -> bool:
        second = int(clock.timestamp())
        self.received = self.received + 1 if second == self.second else 1
        self.second = second
        return self.received > MOST_MESSAGES_PER_SECOND


def _parse(text: str) -> tuple[str, list[str]]:
    """What a page asked for; anything unreadable asks for nothing."""
    try:
        message = json.loads(text)
        kind, asked = message["type"], message["topics"]
    except (ValueError, TypeError, KeyError):
        return "", []
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        return "", []
    return str(kind), [each for each in asked if len(each) <= topics.LONGEST]
