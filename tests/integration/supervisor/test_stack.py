"""The real programs under their supervisor: what comes back, and what does not stay."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import ROOT, RunningSlipway, eventually

pytestmark = [pytest.mark.needs("redis", "envoy")]

PROGRAMS = ("redis", "web", "worker", "beat", "collector", "gateway-staging", "gateway-production")


@pytest.fixture(scope="module")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSlipway]:
    with RunningSlipway(tmp_path_factory.mktemp("home")) as running:
        yield running


def command(slipway: RunningSlipway, verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controlplane.supervisor", verb],
        cwd=ROOT,
        env=slipway.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_link_comes_before_the_programs_behind_the_page_are_up(
    slipway: RunningSlipway,
) -> None:
    order = [event["event"] for event in slipway.events]
    assert order.index("link") < order.index("ready")
    assert slipway.link["password"]


def test_the_login_link_signs_in_and_works_once(slipway: RunningSlipway) -> None:
    with httpx.Client(trust_env=False) as alice:
        assert alice.get(slipway.link["url"]).status_code == 302
        assert "sessionid" in alice.cookies
    with httpx.Client(trust_env=False) as mallory:
        assert mallory.get(slipway.link["url"]).status_code == 410
        assert "sessionid" not in mallory.cookies


def test_the_printed_token_is_the_admins(slipway: RunningSlipway) -> None:
    with slipway.client() as client:
        assert client.me()["username"] == slipway.link["username"]


def listens(url: str) -> bool:
    try:
        httpx.get(f"{url}/v2/health/live")
    except httpx.TransportError:
        return False
    return True


def test_every_gateway_answers_and_knows_no_model_yet(slipway: RunningSlipway) -> None:
    for url in slipway.gateways.values():
        # Another test may just have killed it: then it comes back.
        eventually(lambda url=url: listens(url), what=f"the gateway at {url} listens")
        assert httpx.get(f"{url}/v2/health/live").status_code == 200
        assert httpx.get(f"{url}/v2/models/none/ready").status_code == 404


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_program_comes_back(slipway: RunningSlipway, program: str) -> None:
    before = slipway.kill(program)
    eventually(lambda: slipway.pid(program) not in (None, before), what=f"{program} runs again")
    eventually(lambda: health(slipway).get(program.partition("-")[0], True), what="it is well")


def health(slipway: RunningSlipway) -> dict[str, bool]:
    try:
        checks = httpx.get(f"{slipway.web_url}/readyz").json()["checks"]
    except (httpx.HTTPError, ValueError):
        return dict.fromkeys(("redis", "web", "worker", "collector", "gateway"), False)
    well = {name: check["ok"] for name, check in checks.items()}
    return {**well, "gateway": well.get("gateways", True)}


def test_status_names_every_program_with_its_pid(slipway: RunningSlipway) -> None:
    said = command(slipway, "status")
    assert said.returncode == 0
    for program in PROGRAMS:
        eventually(lambda p=program: slipway.pid(p) is not None)  # type: ignore[misc]
        assert f"pid {slipway.pid(program)}" in command(slipway, "status").stdout


def test_a_second_one_on_the_same_home_is_refused_in_one_line(slipway: RunningSlipway) -> None:
    said = command(slipway, "up")
    assert said.returncode == 1
    (line,) = said.stderr.splitlines()
    assert slipway.web_url in line


def test_an_orderly_stop_leaves_nothing(tmp_path: Path) -> None:
    with RunningSlipway(tmp_path / "home") as slipway:
        assert len(slipway.processes()) > len(PROGRAMS)
    assert slipway.processes() == []


def test_down_stops_what_runs_and_a_restart_keeps_the_data(tmp_path: Path) -> None:
    with RunningSlipway(tmp_path / "home") as slipway:
        with slipway.client() as client:
            client.create_team("oncology")
        assert "has stopped" in command(slipway, "down").stdout
    assert slipway.processes() == []
    with RunningSlipway(tmp_path / "home") as again:
        assert not again.link["password"]
        with again.client() as client:
            assert "oncology" in {team["name"] for team in client.teams()}


def test_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    with RunningSlipway(tmp_path / "home") as slipway:
        slipway.supervisor.kill()
        slipway.supervisor.wait()
        eventually(lambda: slipway.processes() == [], what="everything has ended")


def test_what_was_served_before_a_stop_is_served_after_the_next_start(tmp_path: Path) -> None:
    """The stop ends replicas; the endpoint's row says that there must be one, so there is again."""
    with RunningSlipway(tmp_path / "home") as slipway, slipway.client() as client:
        client.create_team("oncology")
        client.create_model("tumour", team="oncology")
        version = client.push("tumour", ROOT / "demo" / "models" / "tumour-1.onnx")
        strategy = {"kind": "blue-green", "bake_seconds": 0}
        started = client.deploy("tumour", version.number, environment="staging", strategy=strategy)
        assert client.wait(started.id, timeout=60).succeeded
        key = client.issue_key("tests", "tumour", environment="staging")
    assert slipway.processes() == []
    with RunningSlipway(tmp_path / "home", slipway.environ) as again:
        ready = f"{again.gateways['staging']}/v2/models/tumour/ready"
        header = {"authorization": f"Bearer {key.text}"}
        eventually(
            lambda: httpx.get(ready, headers=header).status_code == 200,
            within=30,
            what="it serves again",
        )
