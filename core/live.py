"""Telling open pages that something changed.

A message is a hint: a topic and a revision. The page refetches its part, so a lost or a repeated
message harms nothing, nothing private travels, and the permission check stays in the view. Chart
frames are the one exception; they carry aggregated points, and only the newest counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = structlog.get_logger(__name__)


def group_name(topic: str) -> str:
    """Channels allows few characters in a group's name, topics have more: hash them."""
    return "live." + hashlib.sha256(topic.encode()).hexdigest()[:40]


def changed(topic: str, revision: int) -> None:
    """Publish after the commit that made the change true."""
    transaction.on_commit(
        lambda: _send(topic, {"type": "live.changed", "topic": topic, "revision": revision})
    )


def frame(topic: str, points: dict[str, Any]) -> None:
    """Publish one chart frame at once; it is only drawn, never kept."""
    _send(topic, {"type": "live.frame", "topic": topic, "points": points})


async def frames(points_by_topic: Mapping[str, dict[str, Any]]) -> None:
    """Publish several chart frames from an event loop of one's own."""
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        for topic, points in points_by_topic.items():
            message = {"type": "live.frame", "topic": topic, "points": points}
            await layer.group_send(group_name(topic), message)
    except Exception as problem:  # noqa: BLE001 - as below; frames are only drawn, never kept
        log.warning("live_frames_failed", topics=len(points_by_topic), problem=str(problem))


def _send(topic: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(group_name(topic), message)
    except Exception as problem:  # noqa: BLE001 - Redis down must not undo a committed change
        log.warning("live_publish_failed", topic=topic, problem=str(problem))
