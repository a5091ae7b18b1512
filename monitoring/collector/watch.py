"""Watching one replica: is it ready yet, and then what has it counted, every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import structlog

from core import clock
from core.pki import Authority
from core.redact import redact
from deployments import wakeups
from deployments.models import Replica
from deployments.services import replicas
from monitoring.adapters.announcements import Announced, announced
from monitoring.adapters.http import Connection, NoAnswer, Peer
from monitoring.collector.database import PASSING, Database
from monitoring.collector.renewal import Renewal
from monitoring.domain.ledger import Ledger
from monitoring.domain.shards import phase
from monitoring.selectors.targets import Target
from wire.errors import WireError
from wire.report import Report

log = structlog.get_logger(__name__)

READY_PATH = "/v2/health/ready"
REPORT_PATH = "/telemetry/v1/report"
NEEDED_STREAK = 3
FAILURES_BEFORE_WAKING = 3
_SNIPPET = 500
# A probe's answer that keeps changing is written no more often than this.
_PROBE_WRITE_SECONDS = 1.0
# Pulls fall into this part of each second: late enough to be fresh when the second is closed,
# early enough to be there.
_PULL_FROM, _PULL_TO = 0.45, 0.85
_EARLY = 0.02


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Tests shorten them."""

    probe: float
    pull: float
    pull_timeout: float
    refresh: float = 0.5


@dataclass(frozen=True, slots=True)
class Access:
    """How replicas are found and reached. `token` derives a replica's from release and name."""

    token: Callable[[str, str], str]
    folder: Path
    authority: Authority
    certificate_hours: float


@dataclass(frozen=True, slots=True)
class Means:
    """What all watches share."""

    timing: Timing
    database: Database
    ledger: Ledger
    access: Access


class Watch:
    """One replica. `target` is replaced as its row changes; `run` goes on until cancelled."""

    def __init__(self, target: Target, means: Means) -> None:
        self.target = target
        self._means = means
        access = means.access
        self._token = access.token(target.release, target.name)
        self._peer = Peer(target.identity, access.authority.client_context)
        self._renewal = Renewal(
            target.identity, access.authority, hours=access.certificate_hours, token=self._token
        )
        self._phase = _PULL_FROM + (_PULL_TO - _PULL_FROM) * phase(target.name)
        self._connection: Connection | None = None
        self._streak = 0
        self._failures = 0
        self._written: tuple[Any, ...] = ()
        self._written_at = 0.0

    async def run(self) -> None:
        try:
            while True:
                await self._one()
        finally:
            if self._connection is not None:
                self._connection.close()

    async def _one(self) -> None:
        timing = self._means.timing
        starting = self.target.starting
        delay = timing.probe if starting else _until(self._phase, timing.pull)
        if not starting:
            await asyncio.sleep(delay)
        try:
            await (self._probe() if starting else self._pull())
        except PASSING as problem:
            log.warning("database_unavailable", replica=self.target.name, problem=str(problem))
        except Exception:
            # A loop must outlive its worst replica; the next round tries again.
            log.exception("watch_failed", replica=self.target.name)
            await asyncio.sleep(timing.pull)
        if starting:
            await asyncio.sleep(delay)

    async def _probe(self) -> None:
        connection = self._reach()
        if connection is None:
            return
        try:
            answer = await connection.get(READY_PATH, timeout=self._means.timing.pull_timeout)
        except NoAnswer as problem:
            await self._not_ready({"ok": False, "status": None, "problem": str(problem)})
            # It listens from before it says where, so one that no longer does has probably ended.
            await self._missed(str(problem))
            return
        self._failures = 0
        body = redact(answer.body[:_SNIPPET].decode(errors="replace"))
        probe = {"ok": answer.status == 200, "status": answer.status, "body": body}
        if answer.status != 200:
            await self._not_ready(probe)
            return
        self._streak += 1
        if self._streak >= NEEDED_STREAK:
            await self._ready(probe, connection)

    async def _ready(self, probe: dict[str, Any], connection: Connection) -> None:
        said = self._announced()
        done = await self._means.database(
            replicas.record_ready,
            self.target.id,
            streak=self._streak,
            probe=probe | {"at": _now_text()},
            address=connection.address,
            port=connection.port,
            grpc_port=said.grpc_port if said else None,
            boot_id=said.boot_id if said else self.target.boot_id,
        )
        if done:
            log.info("replica_ready", replica=self.target.name)
            self.target = replace(self.target, state=Replica.State.READY)

    async def _not_ready(self, probe: dict[str, Any]) -> None:
        self._streak = 0
        loop_time = asyncio.get_running_loop().time()
        told = tuple(probe.values())
        if told == self._written or loop_time - self._written_at < _PROBE_WRITE_SECONDS:
            return
        self._written, self._written_at = told, loop_time
        told_at = probe | {"at": _now_text()}
        await self._means.database(replicas.record_probe, self.target.id, told_at)

    async def _pull(self) -> None:
        connection = self._reach()
        if connection is None:
            return
        try:
            report = await self._report(connection)
        except NoAnswer as problem:
            await self._missed(str(problem))
            if problem.expired:
                await self._renewal.revive(connection.address, connection.port)
            return
        except WireError as problem:
            await self._missed(problem.message)
            return
        self._failures = 0
        self._means.ledger.receive(report, clock.timestamp())
        await self._renewal.renew_if_due(connection)

    async def _report(self, connection: Connection) -> Report:
        timeout = self._means.timing.pull_timeout
        answer = await connection.get(REPORT_PATH, timeout=timeout, token=self._token)
        if answer.status != 200:
            raise NoAnswer(f"the report was answered with {answer.status}")
        try:
            report = Report.from_json(orjson.loads(answer.body))
        except orjson.JSONDecodeError as problem:
            raise NoAnswer("the report is not JSON") from problem
        if (report.replica, report.release) != (self.target.name, self.target.release):
            # Its port was given to someone else.
            raise NoAnswer(f"the report is of {report.replica} of {report.release}")
        return report

    async def _missed(self, problem: str) -> None:
        self._failures += 1
        stopping = self.target.state == Replica.State.STOPPING
        if stopping or self._failures % FAILURES_BEFORE_WAKING:
            return
        log.warning("replica_does_not_report", replica=self.target.name, problem=problem)
        await self._means.database(wakeups.wake_endpoint, self.target.endpoint_id)

    def _reach(self) -> Connection | None:
        """The kept connection to where the replica listens, None while that is unknown."""
        target = self.target
        where: tuple[str, int] | None = None
        if target.port is not None:
            where = (target.address, target.port)
        elif self._connection is not None:
            return self._connection
        elif said := self._announced():
            where = (said.address, said.port)
        if where is None:
            return None
        kept = self._connection
        if kept is None or (kept.address, kept.port) != where:
            if kept is not None:
                kept.close()
            self._connection = Connection(*where, self._peer)
        return self._connection

    def _announced(self) -> Announced | None:
        return announced(self._means.access.folder, self.target.name)


def _until(part: float, period: float) -> float:
    """Seconds to the next moment that lies at `part` of a period. Timers fire up to some
    milliseconds early: a moment that close is the one that was just waited for."""
    left = (part * period - clock.timestamp()) % period
    return left if left > _EARLY * period else left + period


def _now_text() -> str:
    return clock.now().isoformat()
