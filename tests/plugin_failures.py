"""What failed, written down for the end of the whole run.

`make test` is several runs of pytest. Whoever sees only the last lines of its output, as on a
server, should find there what failed in the first.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_LINES = 25


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get("SLIPWAY_FAILED_FILE")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(Path(path)), "slipway-failures")


class Failures:
    """Appends each failure, with the end of its report, as it is reported."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._write(report.nodeid, report.when or "", report.longreprtext)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, "collection", report.longreprtext)

    def _write(self, test: str, when: str, text: str) -> None:
        tail = "\n".join(f"    {line}" for line in text.splitlines()[-_LINES:])
        with self._file.open("a") as out:
            out.write(f"FAILED ({when}) {test}\n{tail}\n")
