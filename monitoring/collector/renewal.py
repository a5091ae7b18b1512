"""A replica's certificate is renewed while it runs, for the key that it already has.

Only the control plane can: it holds the authority, and a replica takes a certificate from nobody
else. A certificate that has expired all the same (the control plane was down for days) is renewed
over a connection that does not look at its time.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from core import clock, pki
from core.pki import Authority
from monitoring.adapters.http import Connection, NoAnswer, Peer

log = structlog.get_logger(__name__)

PATH = "/telemetry/v1/certificate"
TIMEOUT_SECONDS = 5.0
# After a renewal that failed. A certificate is renewed long before its end.
RETRY_SECONDS = 30.0


class Renewal:
    """Of one replica. `name` is its identity; never raises for what the replica does."""

    def __init__(self, name: str, authority: Authority, *, hours: float, token: str) -> None:
        self._name = name
        self._authority = authority
        self._hours = hours
        self._token = token
        self._seen = b""
        self._due_at: datetime | None = None
        self._not_before = 0.0

    async def renew_if_due(self, connection: Connection) -> None:
        """Look at the certificate that this connection was shown, once for each new one."""
        if connection.certificate != self._seen:
            self._seen = connection.certificate
            self._due_at = pki.due_at(self._seen) if self._seen else None
        if self._due_at is not None and clock.now() >= self._due_at:
            await self._renew(connection)

    async def revive(self, address: str, port: int) -> None:
        """Renew a certificate that has expired."""
        peer = Peer(self._name, lambda: self._authority.client_context(even_expired=True))
        connection = Connection(address, port, peer)
        try:
            await connection.get("/v2/health/live", timeout=TIMEOUT_SECONDS)
            await self._renew(connection)
        except NoAnswer as problem:
            log.warning("certificate_not_renewed", identity=self._name, problem=str(problem))
        finally:
            connection.close()

    async def _renew(self, connection: Connection) -> None:
        """What is open keeps the old one, so the connection is closed: the next shows the new."""
        if clock.timestamp() < self._not_before:
            return
        self._not_before = clock.timestamp() + RETRY_SECONDS
        chain = self._authority.renew(connection.certificate, self._name, hours=self._hours)
        try:
            answer = await connection.put(
                PATH, chain.encode(), timeout=TIMEOUT_SECONDS, token=self._token
            )
            if answer.status >= 300:
                raise NoAnswer(f"answered with {answer.status}")
        except NoAnswer as problem:
            log.warning("certificate_not_renewed", identity=self._name, problem=str(problem))
            return
        connection.close()
        self._not_before = 0.0
        log.info("certificate_renewed", identity=self._name)
