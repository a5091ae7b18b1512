"""The head of a request: read by llhttp, and read strictly.

Whatever two readers could take for two different requests is refused, never repaired: that is how a
request is smuggled past a gateway. Where the body ends, and so where the next request begins, is
told by one length or by chunks (`modelserver.bodies`), and by nothing else.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from modelserver.errors import HeadTooLarge, Invalid
from modelserver.paths import NOTHING
from wire.identity import Role

BLANK_LINE = b"\r\n\r\n"
MAX_HEAD_BYTES = 32 * 1024
MAX_FIELDS = 100

# The header fields that mean something here; each of them may come once only.
_FIELDS = (
    *(b"host", b"connection", b"expect", b"authorization"),
    *(b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"),
    *(b"inference-header-content-length", b"x-slipway-key", b"x-slipway-smoke"),
)
_BY_SPELLING = {spelling: name for name in _FIELDS for spelling in (name, name.title())}


def malformed(problem: str) -> Invalid:
    return Invalid("request:malformed", f"The request {problem}.")


class Head:
    """The request being read or answered on one connection. One object for all of them: a
    connection answers one request at a time. `target` is set by whoever answers it."""

    __slots__ = (
        *("chunked", "expects", "fields", "keep_alive", "legacy", "length", "method", "role"),
        *("started", "target", "url", "_parser", "_twice"),
    )

    def __init__(self, role: Role) -> None:
        self.role = role
        self._parser: HttpRequestParser | None = None
        self.fields: dict[bytes, bytes] = {}
        self.forget(0.0)

    def forget(self, started: float) -> None:
        """A request whose head was never read: nothing is known of it."""
        self.method = self.url = b""
        self.target = NOTHING
        self.fields = {}
        self.started = started
        self.length = 0
        self.chunked = self.legacy = self.keep_alive = self.expects = False
        self._twice: bytes | None = None

    def read(self, raw: bytes, started: float) -> None:
        """A whole head, its blank line included. Raises Invalid or HeadTooLarge."""
        self.fields = {}
        self.started = started
        self._twice = None
        upgrade = False
        if raw.count(b"\r\n") > MAX_FIELDS + 2:
            raise HeadTooLarge("request:head-too-large", "The request has too many header fields.")
        parser = self._parser or HttpRequestParser(self)
        self._parser = None
        try:
            parser.feed_data(raw)
        except HttpParserUpgrade:
            upgrade = True  # an offer that is not taken up; llhttp has left the protocol for it
        except HttpParserError as problem:
            self.forget(started)
            raise malformed(f"is not HTTP/1.1: {problem}".rstrip(".")) from problem
        else:
            self._parser = parser
        self.method = parser.get_method()
        line_end = raw.find(b"\r\n")
        self.legacy = raw[line_end - 9 : line_end] != b" HTTP/1.1"
        self._understand(raw[line_end - 9 : line_end], upgrade)

    def skip(self, body: bytes) -> None:
        """The whole body of the head just read: the next head follows it."""
        parser = self._parser
        if parser is not None:
            try:
                parser.feed_data(body)
            except HttpParserError:  # it takes this one for the last of its connection
                self._parser = None

    def restart(self) -> None:
        """Instead of `skip`, when the body does not come in one piece."""
        self._parser = None

    # What llhttp calls.

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        known = _BY_SPELLING.get(name) or _BY_SPELLING.get(name.lower())
        if known is not None:
            if known not in self.fields:
                self.fields[known] = value
            elif known == b"connection":
                self.fields[known] += b"," + value
            else:
                self._twice = known

    def _understand(self, version: bytes, upgrade: bool) -> None:
        fields = self.fields
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        if self._twice is not None:
            raise malformed(f"has the header field {self._twice.decode()} twice")
        if self.legacy and version != b" HTTP/1.0":
            raise malformed("is of another version than HTTP/1.1")
        if b"host" not in fields and not self.legacy:
            raise malformed("has no Host header field")
        self.length = int(length) if length is not None else 0
        self.chunked = coding is not None
        if coding is not None and (
            length is not None or self.legacy or coding.strip().lower() != b"chunked"
        ):
            raise malformed("has a Transfer-Encoding that is not read here")
        expect = fields.get(b"expect")
        self.expects = expect is not None and not self.legacy and expect.lower() == b"100-continue"
        connection = fields.get(b"connection")
        self.keep_alive = not self.legacy
        if connection is not None or upgrade:
            self._connection((connection or b"").lower().split(b","), upgrade)

    def _connection(self, options: list[bytes], upgrade: bool) -> None:
        said = {option.strip() for option in options}
        wanted = not self.legacy or b"keep-alive" in said
        self.keep_alive = wanted and b"close" not in said and not upgrade
