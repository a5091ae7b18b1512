"""The programs under production settings: refused before they do anything, or over TLS."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from core.pki import Authority
from tests.contract.collector.stage import ROOT, eventually
from tests.running import free_ports
from wire import identity

PROGRAMS = {
    "web": ("-m", "controlplane.web", "--listen", "127.0.0.1:{port}"),
    "worker": ("-m", "celery", "-A", "controlplane", "worker"),
    "beat": ("-m", "celery", "-A", "controlplane", "beat"),
    "collector": ("manage.py", "collector"),
    "migrate": ("manage.py", "migrate"),
    "make up": ("-m", "controlplane.supervisor", "up", "--foreground"),
}


def environment(home: Path, **given: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "SLIPWAY_HOME": str(home),
        "SLIPWAY_PROFILE": "production",
        **given,
    }


def fit(home: Path, port: int) -> dict[str, str]:
    return environment(
        home,
        SLIPWAY_WEB_URL=f"https://localhost:{port}",
        # Nothing listens there: what is looked at here does without.
        SLIPWAY_REDIS_URL="redis://:a-long-password@127.0.0.1:1/0",
    )


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_no_program_starts_with_settings_that_production_refuses(
    program: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    words = [word.format(port=free_ports(1)[0]) for word in PROGRAMS[program]]
    ended = subprocess.run(
        [sys.executable, *words],
        env=environment(home, SLIPWAY_DATABASE_URL="postgresql://slipway:hush-hush@db/slipway"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode not in (0, None)
    said = ended.stderr + ended.stdout
    for named in ("SLIPWAY_WEB_URL", "SLIPWAY_REDIS_URL", "SLIPWAY_DATABASE_URL"):
        assert f"  - {named}" in said, said
    assert "Traceback" not in said
    assert "hush-hush" not in said
    assert not (home / "secrets").exists(), "it was refused before anything was made"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose schema and static files are there."""
    home = tmp_path_factory.mktemp("production") / "home"
    for words in (("migrate", "-v", "0"), ("collectstatic", "--noinput", "-v", "0")):
        command = [sys.executable, "manage.py", *words, "--skip-checks"]
        subprocess.run(command, env=fit(home, 1), cwd=ROOT, check=True)
    return home


@pytest.fixture
def web(prepared: Path, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts web with these settings besides; its port, once it listens there."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**given: str) -> int:
        (port,) = free_ports(1)
        environ = fit(prepared, port) | given
        command = [sys.executable, "-m", "controlplane.web", "--listen", f"127.0.0.1:{port}"]
        with (tmp_path / "web.log").open("wb") as log:
            process = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=log, stderr=log)
        started.append(process)
        eventually(lambda: process.poll() is not None or _listens(port), 60)
        assert process.poll() is None, (tmp_path / "web.log").read_text()
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False, timeout=5)
    except httpx.ConnectError:
        return False
    except httpx.HTTPError:
        pass  # it hung up on plain HTTP
    return True


def _trusting(authority: Authority) -> httpx.Client:
    context = ssl.create_default_context(cadata=authority.pem)
    return httpx.Client(verify=context, trust_env=False, timeout=20)


def test_web_shows_a_certificate_of_its_authority_and_speaks_nothing_else(
    web: Callable[..., int], prepared: Path
) -> None:
    port = web()
    with _trusting(Authority(prepared / "secrets")) as client:
        page = client.get(f"https://localhost:{port}/accounts/login/")
    assert page.status_code == 200
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert "Secure" in page.headers["set-cookie"]
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://localhost:{port}/livez", trust_env=False)


def test_web_takes_in_a_certificate_that_was_replaced(
    web: Callable[..., int], tmp_path: Path
) -> None:
    mine = Authority(tmp_path / "mine")

    def write() -> str:
        issued = mine.issue(identity.WEB, hours=1, names=["localhost"])
        (tmp_path / "web.key").write_text(issued.key)
        (tmp_path / "web.key").chmod(0o600)
        (tmp_path / "web.pem").write_text(issued.certificate)
        return issued.certificate.strip()

    first = write()
    files = {
        "SLIPWAY_TLS_CERTIFICATE": str(tmp_path / "web.pem"),
        "SLIPWAY_TLS_KEY": str(tmp_path / "web.key"),
    }
    port = web(**files)

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port)).strip()

    assert shown() == first
    time.sleep(0.01)  # else both could have the same time
    second = write()
    eventually(lambda: shown() == second, 90)


def test_behind_a_proxy_web_is_plain_and_believes_what_the_proxy_says(
    web: Callable[..., int],
) -> None:
    port = web(SLIPWAY_BEHIND_TLS_PROXY="true")
    with httpx.Client(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/livez").status_code == 200
        plain = client.get("/accounts/login/")
        assert plain.status_code == 301
        assert plain.headers["location"].startswith("https://")
        through = client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"})
        assert through.status_code == 200


def test_a_home_with_keys_that_others_can_read_is_refused(prepared: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(prepared, home)
    (home / "secrets" / "django").chmod(0o644)
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env=fit(home, 1),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "django can be read by others: chmod 0600" in ended.stderr
