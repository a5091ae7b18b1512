"""Schemathesis against the running web: whatever is sent, the answer is never a 5xx.

A stack of its own, because what the fuzzer makes and breaks is nobody's ground to stand on. Nothing
of the schema is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.stack import ENVIRONMENT, MODEL, TEAM, Stack

pytestmark = pytest.mark.needs("redis", "envoy")

EXAMPLES = "5"
SECONDS = "25"


def test_schemathesis_finds_no_5xx(tmp_path: Path) -> None:
    with Stack(tmp_path / "home") as stack:
        stack.at_rest()
        said, answers = fuzz(stack, tmp_path)
        failed = [each for each in answers if each[2] >= 500]
        assert failed == [], said[-4000:]
        # The run was one: it got somewhere, as somebody who may.
        statuses = Counter(status // 100 for _, _, status in answers)
        kinds = {(method, resource) for method, resource, _ in answers}
        assert statuses[2] > 20, statuses
        assert len(kinds) > 20, kinds
        refused = sum(status == 401 for _, _, status in answers)
        assert refused < len(answers) / 2, (
            f"{refused} of {len(answers)} without a right to anything"
        )
        assert "Traceback" not in stack.log("web")[-200_000:]
    assert stack.processes() == []


def fuzz(stack: Stack, folder: Path) -> tuple[str, list[tuple[str, str, int]]]:
    """What it printed, and every exchange it had, from its own record."""
    record, settings = folder / "exchanges.har", folder / "fuzzing.toml"
    settings.write_text(known_names(stack))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"),
        f"{stack.web_url}/api/v1/openapi.json",
        *("--header", f"Authorization: Bearer {stack.link['token']}"),
        # Without it every change is refused before its body has been looked at.
        *("--header", "If-Match: *"),
        *("--checks", "not_a_server_error", "--max-examples", EXAMPLES, "--max-time", SECONDS),
        *("--seed", "7", "--no-shrink", "--request-timeout", "20", "--continue-on-failure"),
        *("--report", "har", "--report-har-path", str(record), "--no-color"),
    ]
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environ, cwd=folder
    )
    said = done.stdout + done.stderr
    assert record.exists(), said
    entries = json.loads(record.read_text())["log"]["entries"]
    return said, [exchange(entry) for entry in entries]


def known_names(stack: Stack) -> str:
    """Things that are there: behind a 404 there is little code to try. What is not there is tried
    where it is wrong by its form, and by the ids that answers link to."""
    (rollout,) = stack.slipway.rollouts(most=1)
    (operation,) = stack.slipway.items("/operations", most=1)
    endpoint = stack.endpoint()
    # The one to revoke. Left to itself the fuzzer finds its own, and then tries 401 only.
    key = {"idempotency-key": "spare"}
    spare = stack.request("POST", "/tokens", {"name": "spare"}, **key)
    names = {
        "token_id": spare["id"],
        "endpoint_id": endpoint.id,
        "release_id": endpoint.traffic[0]["release"],
        "rollout_id": rollout.id,
        "operation_id": operation["id"],
        "name": MODEL,
        "number": 1,
    }
    lines = ["[parameters]", *(f"{name} = {json.dumps(value)}" for name, value in names.items())]
    for kind, name in (("environments", ENVIRONMENT), ("teams", TEAM)):
        lines += [
            "[[operations]]",
            f'include-path-regex = "/{kind}/"',
            f'parameters.name = "{name}"',
        ]
    return "\n".join([*lines, ""])


def exchange(entry: dict[str, dict[str, str]]) -> tuple[str, str, int]:
    """Method, the kind of resource, status. Without an answer there is no status: 599."""
    path = urlsplit(entry["request"]["url"]).path.removeprefix("/api/v1/")
    return (
        entry["request"]["method"],
        path.partition("/")[0],
        int(entry["response"]["status"]) or 599,
    )
