from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import session
from cli.client import Client
from cli.main import run
from tests.fakes.slipway_api import TOKEN, FakeSlipway

URL = "http://slipway.test"


@dataclass
class Ended:
    code: int
    out: str
    err: str


Slipway = Callable[..., Ended]


@pytest.fixture
def api() -> FakeSlipway:
    return FakeSlipway()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(api: FakeSlipway, slept: list[float]) -> Client:
    return Client(URL, TOKEN, http=api, sleep=slept.append)


@pytest.fixture
def slipway(
    api: FakeSlipway,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Slipway:
    """`slipway …` as Alice types it, against the fake."""
    monkeypatch.setenv("SLIPWAY_CONFIG", str(tmp_path / "config" / "slipway.json"))
    monkeypatch.setenv("SLIPWAY_URL", URL)
    monkeypatch.setenv("SLIPWAY_TOKEN", TOKEN)
    monkeypatch.setattr(
        session, "make", lambda url, token: Client(url, token, http=api, sleep=lambda _: None)
    )

    def typed(*words: str) -> Ended:
        code = run(words)
        said = capsys.readouterr()
        return Ended(int(code), said.out, said.err)

    return typed
