"""A host in memory. It passes the same contract tests as the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployments.ports import HostFacts, HostSilent, ObservedReplica, ReplicaPlan


@dataclass
class FakeContainerHost:
    """Replicas run as soon as they are started. `fail_with` makes the next ones end at once, with
    that exit code and log; `silent` makes it answer nobody."""

    scratch: Path
    observed: dict[str, ObservedReplica] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    fail_with: tuple[int, str] | None = None
    silent: bool = False
    graceful_stop_is_instant: bool = True
    next_port: int = 20_000

    def start(self, plan: ReplicaPlan) -> ObservedReplica | None:
        self._answer()
        if plan.replica in self.observed:
            return None
        folder = self.scratch / plan.replica
        folder.mkdir()
        plan.place_artifact(folder)
        self.started.append(plan.replica)
        self.next_port += 1
        running = ObservedReplica(
            plan.replica,
            True,
            "127.0.0.1",
            self.next_port,
            self.next_port + 10_000,
            f"boot-{plan.replica}",
        )
        self.observed[plan.replica] = running
        self.logs[plan.replica] = '{"event":"listening"}\n{"event":"ready"}'
        if self.fail_with is not None:
            code, log = self.fail_with
            self.logs[plan.replica] = log
            self.end(plan.replica, code)
        return None

    def facts(self) -> HostFacts:
        self._answer()
        return HostFacts(engine_version="fake", os="none", cpus=1, memory_bytes=1, base_id="")

    def observe(self) -> Mapping[str, ObservedReplica]:
        self._answer()
        return dict(self.observed)

    def stop(self, replica: str, *, force: bool) -> None:
        self._answer()
        self.stopped.append(replica)
        if replica in self.observed and (force or self.graceful_stop_is_instant):
            self.end(replica, 137 if force else 0)

    def remove(self, replica: str) -> None:
        self._answer()
        if replica in self.observed and not self.observed[replica].running:
            del self.observed[replica]

    def log(self, replica: str, *, lines: int) -> str:
        self._answer()
        return "\n".join(self.logs.get(replica, "").splitlines()[-lines:])

    def end(self, replica: str, exit_code: int) -> None:
        """The process ends, as after a crash or a kill."""
        self.observed[replica] = replace(self.observed[replica], running=False, exit_code=exit_code)

    def _answer(self) -> None:
        if self.silent:
            raise HostSilent("The fake host is silent.")
