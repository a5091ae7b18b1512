"""What can go wrong for a client.

SlipwayError
 ├─ ApiProblem     Slipway answered, and said what is wrong (RFC 9457)
 ├─ Unreachable    nobody answered, or it was not Slipway
 ├─ NotLoggedIn    no address or no token is known here
 └─ TimedOut       what was waited for did not come in time
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SlipwayError(Exception):
    """Its text is one sentence for a person."""

    help: str = ""


class ApiProblem(SlipwayError):
    """`code` is stable; `detail` is not."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = dict(body)
        self.code = str(body.get("code") or f"http_{status}")
        self.detail = str(body.get("detail") or body.get("title") or f"HTTP {status}")
        self.help = str(body.get("help") or "")
        self.request_id = str(body.get("request_id") or "")
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        fields = [
            f"{error.get('pointer', '')}: {error.get('detail', '')}".strip(": ")
            for error in self.body.get("errors") or []
            # One wrong field is often the whole sentence already.
            if str(error.get("detail") or "") not in self.detail
        ]
        return " ".join([self.detail, *([f"({'; '.join(fields)})"] if fields else [])])


class Unreachable(SlipwayError):
    help = "Is it running? `make status` here, or `slipway doctor`."


class NotLoggedIn(SlipwayError):
    help = "slipway login http://127.0.0.1:8000"


class TimedOut(SlipwayError):
    pass
