"""A real collector, killed and started at will, over a real database in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from core.keys import KeyStore

T = TypeVar("T")
ROOT = Path(__file__).parents[3]


def eventually(look: Callable[[], T], seconds: float = 20) -> T:
    """The first true answer of `look`; fails the test when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return seen


@dataclass
class Stage:
    """`home` is a SLIPWAY_HOME with a migrated SQLite database."""

    home: Path
    # Nothing answers here: counting must not need Redis.
    redis_url: str = "redis://127.0.0.1:1/0"
    certificate_hours: float = 72.0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "SLIPWAY_HOME": str(self.home),
            "SLIPWAY_REDIS_URL": self.redis_url,
            "SLIPWAY_PULL_TIMEOUT_SECONDS": "0.8",
            "SLIPWAY_CERTIFICATE_HOURS": str(self.certificate_hours),
        }

    def seed(self, *, releases: int, replicas: int, state: str = "ready") -> list[dict[str, str]]:
        command = [sys.executable, "-m", "tests.contract.collector.seed"]
        arguments = [str(releases), str(replicas), state]
        done = subprocess.run(
            [*command, *arguments],
            env=self.environment,
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
        )
        rows: list[dict[str, str]] = json.loads(done.stdout)
        return rows

    def token(self, release: str, replica: str) -> str:
        return KeyStore(self.home / "secrets").telemetry_token(release, replica)

    def placed(self, name: str, port: int) -> None:
        """What the reconcile loop does once a host says where a replica listens."""
        key = name.partition("_")[2]
        self.execute(
            "UPDATE deployments_replica SET address='127.0.0.1', port=? WHERE id=?", port, key
        )

    def announce(self, name: str, port: int, boot_id: str) -> None:
        """What a replica does itself."""
        folder = self.home / "replicas" / name
        folder.mkdir(parents=True, exist_ok=True)
        said = {"address": "127.0.0.1", "port": port, "pid": 1, "boot_id": boot_id}
        (folder / "announce.json").write_text(json.dumps(said))

    def start(self, shard: str = "0/1") -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "collector", "--shard", shard]
        with (self.home / f"collector-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "db.sqlite3", timeout=10)) as database:
            return database.execute(sql, arguments).fetchall()

    def execute(self, sql: str, *arguments: Any) -> None:
        with closing(sqlite3.connect(self.home / "db.sqlite3", timeout=10)) as database:
            database.execute(sql, arguments)
            database.commit()

    def counted(self, shard: str = "%") -> int:
        """Requests that collectors ever counted."""
        ((total,),) = self.query(
            "SELECT coalesce(sum(requests_2xx + requests_4xx + requests_5xx), 0)"
            " FROM monitoring_tally WHERE shard LIKE ?",
            shard,
        )
        return int(total)

    def in_seconds(self) -> int:
        """The same, as the one-second windows have it."""
        ((total,),) = self.query(
            "SELECT coalesce(sum(requests_2xx + requests_4xx + requests_5xx), 0)"
            " FROM monitoring_window WHERE resolution = 1"
        )
        return int(total)

    def in_minutes(self) -> int:
        """The same, as the minutes and the journal of the open one have it."""
        ((minutes,),) = self.query(
            "SELECT coalesce(sum(requests_2xx + requests_4xx + requests_5xx), 0)"
            " FROM monitoring_window WHERE resolution = 60"
        )
        journal = self.query("SELECT entries FROM monitoring_journalsecond")
        entries = [entry for (text,) in journal for entry in json.loads(text)]
        open_minute = sum(sum(entry[-1].get("requests", {}).values()) for entry in entries)
        return int(minutes) + open_minute

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.home.glob("collector-*.log")))


@contextmanager
def staged(home: Path, template: Path) -> Iterator[Stage]:
    home.mkdir()
    shutil.copy(template / "db.sqlite3", home / "db.sqlite3")
    stage = Stage(home)
    try:
        yield stage
    finally:
        for process in stage.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)


def migrated(home: Path) -> Path:
    """A home with an empty database, to be copied."""
    stage = Stage(home)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        env=stage.environment,
        cwd=ROOT,
        check=True,
    )
    # Whatever a migration put there is not this test's business.
    stage.query("PRAGMA wal_checkpoint(TRUNCATE)")
    return home
