"""The embedded stack as the fault tests use it: short durations, real pids, and no excuses."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import docker
import httpx
import psutil

from cli import Client, Endpoint, Rollout
from cli.errors import SlipwayError
from tests.running import ROOT, RunningSlipway, eventually, gone

MODELS = ROOT / "demo" / "models"
MODEL, ENVIRONMENT, TEAM = "tumour", "staging", "oncology"
PROGRAMS = ("redis", "web", "worker", "beat", "collector", "gateway-staging", "gateway-production")


@dataclass(frozen=True, slots=True)
class Durations:
    """`within` bounds everything that is waited for; a busy machine is no failed rollout."""

    bake: float
    drain: float
    within: float
    environ: Mapping[str, str]


_GENEROUS = {
    "SLIPWAY_RATE_LIMIT_PER_MINUTE": "100000",
    "SLIPWAY_RATE_LIMIT_WRITES_PER_MINUTE": "100000",
    "SLIPWAY_WORKER_CONCURRENCY": "2",
}
SHORT = Durations(
    bake=2.5,
    drain=1.5,
    within=45.0,
    environ={
        **_GENEROUS,
        "SLIPWAY_LEASE_SECONDS": "4",
        "SLIPWAY_REPLICA_DRAIN_WAIT_SECONDS": "0.5",
        "SLIPWAY_XDS_HOLD_SECONDS": "4",
        "SLIPWAY_GATEWAY_SILENCE_SECONDS": "12",
    },
)
FULL = Durations(bake=30.0, drain=30.0, within=180.0, environ=_GENEROUS)


def durations() -> Durations:
    """Short ones, unless `make faults` asks for those that people run with."""
    return FULL if os.environ.get("SLIPWAY_FAULTS") == "full" else SHORT


class Stack(RunningSlipway):
    """With the model `tumour` in three versions; the third cannot be served."""

    def __init__(
        self, home: Path, lasting: Durations | None = None, *, host: str = "process"
    ) -> None:
        self.lasting = lasting or durations()
        super().__init__(home, self.lasting.environ, host=host)

    def start(self) -> Self:
        super().start()
        self.slipway: Client = self.client()
        with self.slipway_once() as slipway:
            if not any(team["name"] == TEAM for team in slipway.teams()):
                slipway.create_team(TEAM)
                slipway.create_model(MODEL, team=TEAM)
                for number in (1, 2, 3):
                    slipway.push(MODEL, MODELS / f"tumour-{number}.onnx")
        self.edit_environment(drain_seconds=self.lasting.drain)
        return self

    def stop(self) -> int:
        """Also asserts that every program of the last moment has ended."""
        seen = self._programs()
        if hasattr(self, "slipway"):
            self.slipway.close()
        code = super().stop()
        left = [each.pid for each in seen if not gone(each)]
        assert left == [], f"still there after the stop: {left}"
        assert self.host == "process" or self.containers() == {}, "containers after the stop"
        return code

    # --- asking -------------------------------------------------------------------------------

    @property
    def infer_url(self) -> str:
        return f"{self.gateways[ENVIRONMENT]}/v2/models/{MODEL}/infer"

    @contextmanager
    def slipway_once(self) -> Iterator[Client]:
        """A client with connections of its own, for another thread or after a restart."""
        client = self.client()
        try:
            yield client
        finally:
            client.close()

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """What the SDK has no function for."""
        response = httpx.request(
            method,
            f"{self.web_url}/api/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {self.link['token']}", **headers},
            trust_env=False,
            timeout=30.0,
        )
        response.raise_for_status()
        return response.json() if response.content else None

    def edit_environment(self, **change: float) -> None:
        tag = {"if-match": "*"}
        self.request("PATCH", f"/environments/{ENVIRONMENT}", change, **tag)

    def endpoint(self) -> Endpoint:
        return self.slipway.endpoint(MODEL, ENVIRONMENT)

    @property
    def key_file(self) -> Path:
        """Holds a key for the endpoint, once there is an endpoint; see `deploy`."""
        return self.home / "endpoint-key"

    @property
    def key_header(self) -> dict[str, str]:
        """What a client sends to be let in."""
        return {"authorization": f"Bearer {self.key_file.read_text()}"}

    def deploy(self, version: int, *, bake: float | None = None, replicas: int = 1) -> Rollout:
        strategy = {"kind": "blue-green", "bake_seconds": bake or 0}
        rollout = self.slipway.deploy(
            MODEL, version, environment=ENVIRONMENT, replicas=replicas, strategy=strategy
        )
        if not self.key_file.exists():
            key = self.slipway.issue_key("tests", MODEL, environment=ENVIRONMENT)
            self.key_file.write_text(key.text)
        return rollout

    def until(
        self,
        rollout: Rollout,
        condition: Callable[[Rollout], bool],
        *,
        what: str,
        every: float = 0.03,
    ) -> Rollout:
        """The rollout, once it is so. Web may be away meanwhile."""
        deadline = time.monotonic() + self.lasting.within
        while time.monotonic() < deadline:
            try:
                rollout = self.slipway.rollout(rollout.id)
            except SlipwayError:
                continue  # the SDK has waited
            if condition(rollout):
                return rollout
            assert not rollout.is_done, f"done before {what}: {rollout.sentence}"
            time.sleep(every)
        events = self.request("GET", f"/rollouts/{rollout.id}/events")["items"]
        story = [(event["at"][14:23], event["kind"], event["message"]) for event in events]
        raise AssertionError(f"{what}: not within {self.lasting.within} s: {rollout.raw} {story}")

    def finished(self, rollout: Rollout) -> Rollout:
        return self.until(rollout, lambda seen: seen.is_done, what="its end", every=0.1)

    def at_rest(self, *, replicas: int = 1) -> tuple[int, int]:
        """The ground from which a test begins: one of the versions 1 and 2 serves, nothing moves.

        That version, and the other one.
        """
        for unfinished in self._unfinished():
            self.finished(unfinished)
        version, running = self._stable()
        if version == 0 or running != replicas:
            version = version or 1
            rollout = self.finished(self.deploy(version, replicas=replicas))
            assert rollout.outcome == "promoted", rollout.sentence
        self.require_at_rest(version, replicas=replicas)
        return version, 3 - version

    def require_at_rest(self, version: int, *, replicas: int = 1) -> None:
        """This version has all traffic, by word and by answer; its replicas run, and no others."""
        endpoint = self.endpoint()
        traffic = [(part["version"], part["percent"]) for part in endpoint.traffic]
        assert endpoint.stable_version == version
        assert traffic == [(version, 100)]
        assert self.answering_version() == str(version)
        eventually(
            lambda: self.replica_versions() == [version] * replicas,
            within=self.lasting.within,
            what=f"{replicas} × version {version} and nothing else runs",
        )

    def answering_version(self) -> str:
        row = json.loads((MODELS / "rows.json").read_text())["rows"][0]
        tensor = {"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}
        answer = httpx.post(
            self.infer_url, json={"inputs": [tensor]}, headers=self.key_header, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return answer.headers["x-model-version"]

    def _stable(self) -> tuple[int, int]:
        """Version and number of replicas; zeros before the first rollout."""
        found = list(self.slipway.items("/endpoints", environment=ENVIRONMENT, model=MODEL))
        endpoint = Endpoint.of(found[0]) if found else None
        if endpoint is None or endpoint.stable_version is None:
            return 0, 0
        return endpoint.stable_version, endpoint.raw["replicas"]

    def _unfinished(self) -> list[Rollout]:
        return [each for each in self.slipway.rollouts(most=20) if not each.is_done]

    # --- processes ----------------------------------------------------------------------------

    def replicas(self) -> dict[str, psutil.Process]:
        """By id, from the process table, or as the Engine names the processes of its containers:
        no row, no file and no API of ours is believed here."""
        if self.host == "docker":
            return {name: psutil.Process(pid) for name, pid in self.containers().items() if pid}
        found = {}
        for process in self.processes():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if words[1:4] == ["-m", "modelserver", "serve"]:
                found[words[words.index("--name") + 1].partition("/")[2]] = process
        return found

    def containers(self) -> dict[str, int]:
        """All of this home's, running or ended, by their replica; with the pid that is their first
        process here, 0 for one that has ended."""
        owner = (self.home / "installation").read_text().strip()
        with closing(docker.from_env(timeout=60)) as engine:
            found = engine.containers.list(all=True, filters={"label": f"slipway.owner={owner}"})
            return {each.labels["slipway.replica"]: each.attrs["State"]["Pid"] for each in found}

    def replica_versions(self) -> list[int]:
        """Of every running replica; -1 for one that the API does not know."""
        known = {each["id"]: each["version"] for each in self.endpoint().replicas}
        return sorted(known.get(name, -1) for name in self.replicas())

    def replica_states(self, version: int) -> list[str]:
        """As the API tells it, without those that have ended."""
        copies = [each for each in self.endpoint().replicas if each["version"] == version]
        return [each["state"] for each in copies if not each["ended_at"]]

    def group(self, program: str) -> list[psutil.Process]:
        """The program and the children that live and die with it, such as Celery's pool."""
        pid = self.pid(program)
        assert pid is not None, f"{program} does not run"
        parent = psutil.Process(pid)
        children = [each for each in parent.children(recursive=True) if _same_group(each, pid)]
        return [parent, *children]

    def kill_group(self, program: str) -> None:
        """SIGKILL to all of it at one moment, and the proof that it hit."""
        victims = self.group(program)
        os.killpg(victims[0].pid, signal.SIGKILL)
        eventually(lambda: all(map(gone, victims)), what=f"{program} and its children are gone")

    def redis_url(self) -> str:
        """With its password, as the programs got it."""
        pid = self.pid("worker")
        return Path(psutil.Process(pid).environ()["SLIPWAY_REDIS_URL_FILE"]).read_text()

    def envoy(self) -> psutil.Process:
        """The gateway's data plane; its launcher is its parent."""
        run = json.loads((self.home / "gateways" / ENVIRONMENT / "run.json").read_text())
        return psutil.Process(run["envoy_pid"])

    @contextmanager
    def supervisor_stopped(self) -> Iterator[None]:
        """Nothing is started again inside."""
        os.kill(self.supervisor.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.supervisor.pid, signal.SIGCONT)

    def is_well(self) -> bool:
        """All programs run and web says that it can be used."""
        if self.supervisor.poll() is not None:
            return False
        try:
            up = all(self.pid(program) for program in PROGRAMS)
            ready = httpx.get(f"{self.web_url}/readyz", trust_env=False, timeout=5.0)
        except (httpx.HTTPError, OSError, ValueError):
            return False
        return up and ready.status_code == 200

    def restarted(self, program: str, since: int | None) -> None:
        eventually(
            lambda: self.pid(program) not in (None, since),
            within=self.lasting.within,
            what=f"{program} runs again",
        )

    def _programs(self) -> list[psutil.Process]:
        """Redis renames itself, so that only its pid tells whose it is."""
        found = []
        for program in PROGRAMS:
            try:
                found.append(psutil.Process(self.pid(program)))
            except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
                continue
        return found


def kill(process: psutil.Process) -> float:
    """SIGKILL, and the proof that it hit. When it was sent, in seconds since the epoch."""
    sent = time.time()
    process.send_signal(signal.SIGKILL)
    eventually(lambda: gone(process), what=f"{process.pid} is gone")
    return sent


def _same_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group
    except ProcessLookupError:
        return False
