"""A connection to the server over a wire that is only memory, and what came back over it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import orjson

from modelserver.connection import Connection
from modelserver.dataplane import DataPlane
from modelserver.http import HttpApp
from modelserver.limits import Limits
from modelserver.logs import Log
from modelserver.server import Server
from modelserver.telemetry import Telemetry
from tests.unit.modelserver.fakes import Adder, plane_for, table
from wire.report import Report

INFER = "/v2/models/tumour/infer"
TOKEN = "right"
HIGH_WATER = 64 * 1024


@dataclass(frozen=True)
class Said:
    status: int
    headers: Mapping[str, str]
    body: Any


class Wire(asyncio.Transport):
    """`sent` is what the server wrote; while the client `stalls`, it is not read."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.sent = bytearray()
        self.waiting = 0
        self.stalls = self.closing = self.aborted = False
        self.reading = True
        self._blocked = False

    def write(self, data: Any) -> None:
        assert not self.closing, "nothing is written after the end"
        self.sent += data
        if self.stalls:
            self.waiting += len(data)
        if self.waiting > HIGH_WATER and not self._blocked and self.protocol is not None:
            self._blocked = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def read_all(self) -> None:
        """The client reads what is there, and goes on reading."""
        self.stalls, self.waiting = False, 0
        if self._blocked and self.protocol is not None:
            self._blocked = False
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Talk:
    """One connection to a server of its own. To be used on an event loop."""

    def __init__(
        self, plane: DataPlane, *, max_body_bytes: int = 4096, limits: Limits | None = None
    ) -> None:
        self.plane = plane
        self.log = io.StringIO()
        self.telemetry = Telemetry(replica="rep_1", release="rel_1", boot_id="boot-1")
        self.app = HttpApp(
            plane, self.telemetry, Log(self.log), token=TOKEN, max_body_bytes=max_body_bytes
        )
        self.limits = limits or Limits()
        self.server = Server(self.app, cast(Any, None), limits=self.limits)
        self.wire = Wire()
        self.connection = Connection(self.server, self.app)
        self.connection.connection_made(self.wire)
        self.wire.protocol = self.connection

    def send(self, *pieces: bytes) -> None:
        """What a client may send; nothing arrives while the server does not read."""
        for piece in pieces:
            if self.wire.reading and not self.wire.closing:
                self.connection.data_received(piece)

    def end(self) -> None:
        """The client has said its last, and still listens."""
        if not self.connection.eof_received():
            self.wire.close()

    def hang_up(self) -> None:
        self.wire.closing = True
        self.connection.connection_lost(None)

    def later(self, seconds: float) -> None:
        """The server looks at its connections as if so much time had passed."""
        since = self.connection._blocked or self.connection._since
        self.connection.check(since + seconds, self.limits)

    def said(self) -> list[Said]:
        return list(answers(bytes(self.wire.sent)))

    def report(self) -> Report:
        return self.telemetry.report(ready=True)


def request(
    method: str = "POST",
    path: str = INFER,
    body: bytes | object = b"",
    *,
    version: str = "1.1",
    **headers: str | None,
) -> bytes:
    """The bytes of a request as any client writes it; a header that is None is left out."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    fields: dict[str, str | None] = {"host": "replica", "content-length": str(len(content))}
    if method == "POST":
        fields["content-type"] = "application/json"
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode() + content


def answers(raw: bytes) -> Iterable[Said]:
    while raw:
        head, separator, raw = raw.partition(b"\r\n\r\n")
        assert separator, f"an answer that is not whole: {head!r}"
        status, *lines = head.decode().split("\r\n")
        code = int(status.split()[1])
        if code == 100:
            continue
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        body, raw = raw[:length], raw[length:]
        yield Said(code, headers, orjson.loads(body))


ROWS = [[1.0, 2.0, 3.0]]
LIVE = request("GET", "/v2/health/live")
READY = request("GET", "/v2/health/ready")


def asked(name: str = "") -> bytes:
    return request(body=table(ROWS, id=name) if name else table(ROWS))


def quick(**more: Any) -> Talk:
    """With a model that answers at once."""
    return Talk(plane_for(Adder()), **more)


class Slow:
    """A model whose inferences wait in threads until they may go on."""

    def __init__(self, pool: ThreadPoolExecutor, queue_limit: int = 9) -> None:
        self.model = Adder()
        self.model.may_go_on.clear()
        self.plane = plane_for(self.model, loop_values=0, pool=pool, queue_limit=queue_limit)
        self.go_on = self.model.may_go_on.set
