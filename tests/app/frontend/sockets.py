"""A websocket without a network. Channels' own is not importable without daphne."""

from __future__ import annotations

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator


class Socket:
    def __init__(self, application: Any, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        self._peer = ApplicationCommunicator(application, scope)

    async def connect(self) -> bool:
        """Whether it was accepted."""
        await self._peer.send_input({"type": "websocket.connect"})
        output: dict[str, Any] = await self._peer.receive_output(5)
        return output["type"] == "websocket.accept"

    async def disconnect(self) -> None:
        await self._peer.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._peer.wait(5)

    async def say(self, text: str) -> None:
        await self._peer.send_input({"type": "websocket.receive", "text": text})

    async def ask(self, kind: str, *topics: str) -> None:
        await self.say(json.dumps({"type": kind, "topics": topics}))

    async def hear(self) -> Any:
        output = await self._peer.receive_output(5)
        assert output["type"] == "websocket.send", output
        return json.loads(output["text"])

    async def closed_with(self) -> int:
        output = await self._peer.receive_output(5)
        assert output["type"] == "websocket.close", output
        return int(output["code"])
