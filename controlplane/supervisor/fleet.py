"""The programs that run now: started, started again when they die, ended in order."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.supervisor.child import Child, cap_log
from controlplane.supervisor.policy import Backoff, History, Liveness
from controlplane.supervisor.programs import Program
from controlplane.supervisor.reporter import Reporter

_TURN = 0.05
_LOG_CHECK = 2.0


@dataclass(slots=True)
class _Member:
    program: Program
    history: History = field(default_factory=History)
    child: Child | None = None


class Fleet:
    """Not thread-safe: the supervisor's main thread owns it."""

    def __init__(
        self,
        *,
        folder: Path,
        logs: Path,
        environ: Mapping[str, str],
        reporter: Reporter,
        log_cap: int,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._logs = logs
        self._environ = dict(environ)
        self._reporter = reporter
        self._log_cap = log_cap
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._members: dict[str, _Member] = {}
        self._logs_checked = 0.0

    def start(self, program: Program) -> None:
        member = self._members.setdefault(program.name, _Member(program))
        self._launch(member)

    def run_once(self, name: str, command: tuple[str, ...]) -> Child:
        """A command that ends by itself, such as migrations; never restarted."""
        return self._spawn(name, command, {})

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def tick(self) -> None:
        """Look at every program once; start again what died and is due."""
        now = self._clock()
        for member in self._members.values():
            if member.child is not None and (code := member.child.exit_code()) is not None:
                member.child.end_group()
                member.child = None
                member.history = member.history.died(now, self._backoff)
                self._tell_death(member, code)
            if member.child is None and member.history.may_start(now):
                self._launch(member)
        if now - self._logs_checked > _LOG_CHECK:
            self._logs_checked = now
            for member in self._members.values():
                cap_log(self.log(member.program.name), self._log_cap)

    def end_hanging(self, liveness: Liveness, answered_at: Callable[[str], float | None]) -> None:
        now = self._clock()
        for name, member in self._members.items():
            if member.child is None or not member.program.alive_url:
                continue
            if liveness.hangs(
                now=now, started_at=member.history.started_at, answered_at=answered_at(name)
            ):
                self._reporter.say("hangs", program=name)
                member.child.kill()

    def stop(self, after_stage: Callable[[int], None] = lambda stage: None) -> None:
        """Stage by stage: SIGTERM to all of a stage, SIGKILL to those past their grace."""
        for stage in sorted({member.program.stop_stage for member in self._members.values()}):
            self._stop_stage(stage)
            after_stage(stage)

    def running(self, name: str) -> bool:
        member = self._members.get(name)
        return member is not None and member.child is not None and member.child.exit_code() is None

    def state(self) -> dict[str, dict[str, object]]:
        return {
            name: {
                "pid": member.child.pid if member.child else None,
                "restarts": member.history.restarts,
                "log": str(self.log(name)),
            }
            for name, member in self._members.items()
        }

    def write_state(self, path: Path, **more: object) -> None:
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"pid": os.getpid(), **more, "programs": self.state()}))
        draft.replace(path)

    def _launch(self, member: _Member) -> None:
        member.history = member.history.started(self._clock())
        program = member.program
        member.child = self._spawn(program.name, program.command, program.environ)

    def _spawn(self, name: str, command: tuple[str, ...], more: Mapping[str, str]) -> Child:
        return Child(
            command, log=self.log(name), environ={**self._environ, **more}, folder=self._folder
        )

    def _tell_death(self, member: _Member, code: int) -> None:
        due = member.history.start_due or 0.0
        self._reporter.say(
            "restart",
            program=member.program.name,
            how=f"signal {-code}" if code < 0 else f"exit code {code}",
            delay=round(max(0.0, due - member.history.died_at), 2),
            log=str(self.log(member.program.name)),
        )

    def _stop_stage(self, stage: int) -> None:
        members = [m for m in self._members.values() if m.program.stop_stage == stage and m.child]
        for member in members:
            if member.child:
                member.child.terminate()
        began = self._clock()
        for member in members:
            child = member.child
            if child is None:
                continue
            while child.exit_code() is None and self._clock() - began < member.program.grace:
                time.sleep(_TURN)
            child.kill()
            while child.exit_code() is None:
                time.sleep(_TURN)
            child.end_group()
            member.child = None
