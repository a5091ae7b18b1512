"""The steps, each with what must hold at its end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cli import Client, Endpoint, Rollout
from demo import telling
from demo.programs import StoryBroke, Traffic
from demo.traffic import body_of

MODELS = Path(__file__).parent / "models"
TEAM, MODEL, ENVIRONMENT = "oncology", "tumour", "staging"
BAKE_SECONDS = 3.0
"""Real rollouts bake 30 s and longer; nobody watches a demo do that."""

_STEADY_SECONDS = 3.0
_ROLLOUT_LIMIT = 90.0


@dataclass
class Story:
    slipway: Client
    gateway: str
    home: Path
    rollouts: list[tuple[str, Rollout]] = field(default_factory=list)
    traffic: Traffic | None = None

    def tell(self) -> None:
        """Raises StoryBroke, or the SDK's errors, at the first step that does not hold."""
        self._register()
        self._first_release()
        self._key()
        self._start_traffic()
        self._second_takes_over()
        self._third_is_refused()
        self._roll_back()
        self._nothing_failed()

    @property
    def infer_url(self) -> str:
        return f"{self.gateway}/v2/models/{MODEL}/infer"

    def endpoint(self) -> Endpoint:
        return self.slipway.endpoint(MODEL, ENVIRONMENT)

    # --- the steps ----------------------------------------------------------------------------

    def _register(self) -> None:
        telling.chapter("Two models of the breast-cancer table become versions")
        self.slipway.create_team(TEAM, "Oncology")
        self.slipway.create_model(MODEL, team=TEAM, task="classification")
        for number in (1, 2):
            self._push(number)

    def _first_release(self) -> None:
        telling.chapter(f"Version 1 goes to {ENVIRONMENT}")
        rollout = self._deploy(1)
        require(rollout.succeeded, f"version 1 was not rolled out: {rollout.sentence}")
        telling.done(f"version 1 serves at {self.infer_url}")

    def _key(self) -> None:
        telling.chapter("A client gets a key, and may ask")
        key = self.slipway.issue_key("demo traffic", MODEL, environment=ENVIRONMENT)
        began = time.monotonic()
        self.slipway.wait_for_key(key.id)
        took = 1000 * (time.monotonic() - began)
        for file, text in (
            (self.key_file, key.text),
            (self.key_header_file, f"authorization: Bearer {key.text}"),
        ):
            write_private(file, text)
        telling.done(f"{key.id}, known to every gateway {took:.0f} ms later")

    def _start_traffic(self) -> None:
        telling.chapter("50 predictions a second of real rows, counted by a client of its own")
        rows = MODELS / "rows.json"
        self._write_one_row(rows)
        log = self.home / "traffic.log"
        self.traffic = Traffic(self.infer_url, rows, self.key_file, log)
        self._only("1", within=15.0)
        time.sleep(_STEADY_SECONDS)
        now = self._traffic().now()
        require(now["failed"] == 0, f"requests failed before anything was changed: {now}")
        telling.done(f"{now['ok']} answered by version 1, p99 {now['p99_ms']} ms")

    def _second_takes_over(self) -> None:
        telling.chapter("Version 2 takes over, blue-green, under that load")
        rollout = self._deploy(2)
        require(rollout.succeeded, f"version 2 was not rolled out: {rollout.sentence}")
        self._only("2", within=5.0)
        telling.done("every answer comes from version 2")

    def _third_is_refused(self) -> None:
        telling.chapter("Version 3 passes intake and breaks in its replica")
        self._push(3)
        rollout = self._deploy(3)
        require(rollout.outcome == "reverted", f"version 3 ended as {rollout.badge!r}")
        require(bool(rollout.reason_code), "version 3 was refused without a reason")
        telling.done(f"refused, {rollout.reason_code}: {telling.short(rollout.reason)}")
        require("3" not in self._traffic().now()["versions"], "version 3 answered a client")
        self._only("2", within=5.0)
        telling.done("version 2 keeps serving")

    def _roll_back(self) -> None:
        telling.chapter("One call rolls back to version 1")
        rollout = self.slipway.rollback(self.endpoint().id, to=1, reason="Shown in the demo.")
        rollout = self._follow("roll back to 1", rollout)
        require(rollout.succeeded, f"it was not rolled back: {rollout.sentence}")
        self._only("1", within=5.0)
        telling.done("every answer comes from version 1")

    def _nothing_failed(self) -> None:
        now = self._traffic().now()
        require(now["failed"] == 0, f"{now['failed']} requests failed: {now['failures']}")
        silent = [
            name for name, it in self.rollouts if it.succeeded and not telling.acknowledged(it)
        ]
        require(not silent, f"no gateway acknowledged: {', '.join(silent)}")

    # --- what they share ----------------------------------------------------------------------

    def _push(self, number: int) -> None:
        version = self.slipway.push(MODEL, MODELS / f"tumour-{number}.onnx")
        require(version.number == number, f"expected version {number}, got {version.number}")
        telling.done(f"version {number}  {version.digest[:23]}…  {version.size / 1024:.1f} kB")

    def _deploy(self, number: int) -> Rollout:
        started = self.slipway.deploy(
            MODEL,
            number,
            environment=ENVIRONMENT,
            strategy={"kind": "blue-green", "bake_seconds": BAKE_SECONDS},
        )
        return self._follow(f"version {number}", started)

    def _follow(self, name: str, rollout: Rollout) -> Rollout:
        with telling.following() as show:
            ended = self.slipway.wait(rollout.id, timeout=_ROLLOUT_LIMIT, seen=show, every=0.2)
        self.rollouts.append((name, ended))
        return ended

    def _only(self, version: str, *, within: float) -> None:
        """Until all answers of the last half second come from that version."""
        seen = self._traffic().now

        def holds() -> bool:
            now = seen()
            fresh = {v for v, it in now["versions"].items() if it["last"] > now["at"] - 0.5}
            return fresh == {version}

        eventually(holds, within, lambda: f"not all traffic on version {version}: {seen()}")

    def _traffic(self) -> Traffic:
        if self.traffic is None:
            raise StoryBroke("there is no traffic yet")
        return self.traffic

    def _write_one_row(self, rows: Path) -> None:
        """What the printed curl sends."""
        self.row_file.write_bytes(body_of(json.loads(rows.read_text())["rows"][0]))

    @property
    def row_file(self) -> Path:
        return self.home / "row.json"

    @property
    def key_file(self) -> Path:
        return self.home / "endpoint-key"

    @property
    def key_header_file(self) -> Path:
        """The key as curl reads headers from a file, so that no command line shows it."""
        return self.home / "endpoint-key.header"


def write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StoryBroke(otherwise)


def eventually(holds: Callable[[], bool], within: float, otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + within
    while not holds():
        require(time.monotonic() < deadline, otherwise())
        time.sleep(0.1)
