"""Clients that others wrote, each in an environment of its own, unmodified, through the gateway and
with a key. What is tried is in `programs`; here each check is a test."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin_tiers import client_environments

pytestmark = pytest.mark.needs("redis", "envoy", "clients")

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = {
    "with_triton_http": "triton",
    "with_triton_grpc": "triton",
    "with_kserve": "kserve",
    "with_open_inference": "open-inference",
}
SECONDS = 300


def checks(program: str) -> Iterator[str]:
    """The names of what a program checks, without running it."""
    for node in ast.parse((PROGRAMS / f"{program}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = [mark.id for mark in node.decorator_list if isinstance(mark, ast.Name)]
            if "check" in marks:
                yield node.name


@pytest.fixture(scope="module")
def outcomes(target: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Of each program, what became of its checks: an empty text, or a traceback."""
    return {program: run(program, target) for program in ENVIRONMENTS}


def run(program: str, target: dict[str, Any]) -> dict[str, str]:
    python = client_environments() / ENVIRONMENTS[program] / "bin" / "python"
    told = subprocess.run(
        [python, PROGRAMS / f"{program}.py", json.dumps(target)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={"PATH": "/usr/bin:/bin", "NO_PROXY": "*"},
    )
    assert told.returncode == 0, told.stderr
    outcome: dict[str, str] = json.loads(told.stdout.splitlines()[-1])
    return outcome


@pytest.mark.parametrize(
    ("program", "check"),
    [(program, check) for program in ENVIRONMENTS for check in checks(program)],
)
def test_a_client_of_others_works_unchanged(
    outcomes: dict[str, dict[str, str]], program: str, check: str
) -> None:
    assert outcomes[program][check] == ""


def test_every_program_is_run() -> None:
    assert {path.stem for path in PROGRAMS.glob("with_*.py")} == ENVIRONMENTS.keys()
