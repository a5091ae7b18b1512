"""Certificates for gateways: one request in, one certificate out, not too often.

A renewal is machinery and no decision of anybody's, so it is logged and not audited; that the
gateway exists at all is in the audit log.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from core.errors import Refused
from deployments.xds import polls
from deployments.xds.ports import RegisteredGateway

log = logging.getLogger(__name__)

Certify = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""(gateway id, certificate request) to what the gateway is told: `certificate` and `authority`
(PEM), `jwks` (what verifies clients' keys), `environment` and `expires_at` (Unix seconds).

Raises:
    Refused: the request is none.
"""

MOST = 10
WITHIN_SECONDS = 60.0


class CertificateDesk:
    """Answers gateways that are known already. A gateway needs three certificates in the time that
    one is good for; one that asks for more than ten a minute is broken, and signing costs."""

    def __init__(self, certify: Certify, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._certify = certify
        self._clock = clock
        self._asked: dict[str, deque[float]] = {}

    async def answer(self, gateway: RegisteredGateway, csr: str, send: polls.Send) -> None:
        wait = self._wait(gateway.gateway_id)
        if wait:
            seconds = (b"retry-after", str(wait).encode())
            sentence = f"a gateway gets at most {MOST} certificates a minute"
            await polls.send_json(send, 429, {"error": sentence}, seconds)
            return
        try:
            told = await self._certify(gateway.gateway_id, csr)
        except Refused as problem:
            await polls.send_json(send, 422, {"error": problem.detail})
            return
        log.info("xds: gateway %s has a new certificate", gateway.gateway_id)
        await polls.send_json(send, 200, dict(told))

    def _wait(self, gateway_id: str) -> int:
        """Seconds to wait; 0 counts this request."""
        now = self._clock()
        asked = self._asked.setdefault(gateway_id, deque(maxlen=MOST))
        if len(asked) == MOST and now - asked[0] < WITHIN_SECONDS:
            return max(1, round(WITHIN_SECONDS - (now - asked[0])))
        asked.append(now)
        return 0
