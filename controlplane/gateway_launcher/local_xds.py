"""Serves the saved snapshot to this gateway's Envoy while web is down.

It never changes what a running Envoy has: only a poll that names nothing is served. Any other one
is held for a second and answered with "no change"; short, because Envoy goes back to web only with
its next poll.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from typing import Any

from controlplane.gateway_launcher.saved import CLUSTER_TYPE, ROUTE_TYPE, Saved, SavedResources

_TYPE_OF_PATH = {
    "/v3/discovery:clusters": CLUSTER_TYPE,
    "/v3/discovery:routes": ROUTE_TYPE,
}
_MAX_BODY = 256 * 1024


class LocalXds:
    """One loopback port. `saved` is asked at each poll; the token keeps other users of this machine
    from reading the snapshot."""

    def __init__(self, saved: Callable[[], Saved], token: str, *, hold: float = 1.0) -> None:
        self._saved = saved
        self._token = token
        self._hold = hold
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """The port that it listens on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                path, body = await _read_request(reader)
                status, content = await self._answer(path, body)
                payload = json.dumps(content).encode() if content is not None else b""
                head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                if status != "304 Not Modified":
                    head += f"content-length: {len(payload)}\r\n"
                writer.write(head.encode() + b"\r\n" + payload)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            # The other side left, or is no Envoy.
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: bytes) -> tuple[str, dict[str, Any] | None]:
        type_url = _TYPE_OF_PATH.get(path)
        if type_url is None:
            return "404 Not Found", {"error": "no such resource type"}
        try:
            request = json.loads(body)
            token = request["node"]["metadata"]["token"]
            named = request.get("version_info", "")
        except (ValueError, LookupError, TypeError):
            return "400 Bad Request", {"error": "not a discovery request"}
        if not hmac.compare_digest(str(token).encode(), self._token.encode()):
            return "401 Unauthorized", {"error": "wrong token"}
        everything = self._saved()
        saved = everything.get(type_url)
        if saved is None and everything:
            # Envoy reports no version for a type that never had a resource, and waits for each type
            # before it listens.
            saved = SavedResources("0", [])
        if named or saved is None:
            await asyncio.sleep(self._hold)
            return "304 Not Modified", None
        return "200 OK", {
            "version_info": saved.version,
            "type_url": type_url,
            "resources": saved.resources,
        }


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    _, path, _ = head[0].split(" ", 2)
    headers = dict(line.lower().split(":", 1) for line in head[1:] if ":" in line)
    length = int(headers.get("content-length", "0"))
    if length > _MAX_BODY:
        raise ValueError("too large")
    return path, await reader.readexactly(length)
