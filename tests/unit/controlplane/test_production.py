"""What the production profile refuses, all at once and each with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controlplane import config as settings
from controlplane import production
from controlplane.config import Config, Unfit
from core.keys import KeyStore
from core.pki import Authority

FIT: dict[str, Any] = {
    "profile": "production",
    "web_url": "https://slipway.example.org",
    "redis_url": "redis://:a-long-password@127.0.0.1:6379/0",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    keys = KeyStore(tmp_path / "secrets")
    for name in ("django", "signing", "release", "audit"):
        keys.raw(name)
    keys.seal("artifacts", b"", "")
    assert Authority(tmp_path / "secrets").pem
    return tmp_path


def told(home: Path, **given: Any) -> str:
    return "\n".join(production.problems(Config(home=home, **FIT | given)))


def test_what_slipway_makes_itself_is_fit_for_production(home: Path) -> None:
    assert told(home) == ""


def test_a_home_that_is_still_empty_is_fit_too(tmp_path: Path) -> None:
    assert told(tmp_path) == ""


def test_the_embedded_profile_refuses_none_of_it(home: Path) -> None:
    (home / "secrets" / "django").chmod(0o644)
    assert told(home, profile="embedded", web_url="http://a", redis_url="redis://a/0") == ""


def test_web_is_reached_over_tls(home: Path) -> None:
    assert "SLIPWAY_WEB_URL=http://web is plain HTTP" in told(home, web_url="http://web")


def test_web_answers_under_its_own_names_only(home: Path) -> None:
    assert "SLIPWAY_ALLOWED_HOSTS" in told(home, allowed_hosts=["*"])


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://127.0.0.1:6379/0", "no password"),
        ("redis://:short@127.0.0.1:6379/0", "shorter than 12"),
        ("redis://:a-long-password@cache:6379/0", "plain Redis on another machine"),
        ("redis://:a-long-password@10.0.0.7/0", "plain Redis on another machine"),
        ("rediss://:a-long-password@cache/0?ssl_cert_reqs=none", "no check of Redis' certificate"),
        ("rediss://cache/0", "no password"),
    ],
)
def test_redis_that_anybody_can_use_or_overhear_is_refused(
    home: Path, url: str, problem: str
) -> None:
    assert problem in told(home, redis_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "unix:///run/redis.sock",
        "redis://:a-long-password@localhost/0",
        "redis://:a-long-password@[::1]:6379/0",
        "rediss://:a-long-password@cache/0?ssl_ca_certs=/ca.pem",
        "rediss://:a-long-password@cache/0?ssl_cert_reqs=required",
    ],
)
def test_redis_on_this_machine_or_over_tls_is_fine(home: Path, url: str) -> None:
    assert told(home, redis_url=url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://slipway:a-long-password@db/slipway",
        "postgresql://slipway:a-long-password@db/slipway?sslmode=require",
        "postgresql://slipway:a-long-password@db/slipway?sslmode=prefer",
    ],
)
def test_postgresql_whose_certificate_nobody_looks_at_is_refused(home: Path, url: str) -> None:
    assert "without a check of its certificate" in told(home, database_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://slipway:a-long-password@db/slipway?sslmode=verify-full",
        "postgresql://slipway:a-long-password@127.0.0.1/slipway",
        "postgresql://slipway@%2Frun%2Fpostgresql/slipway",
    ],
)
def test_postgresql_that_proves_who_it_is_or_is_here_is_fine(home: Path, url: str) -> None:
    assert told(home, database_url=url) == ""


def test_a_short_password_of_the_database_is_refused(home: Path) -> None:
    assert "shorter than 12" in told(home, database_url="postgresql://slipway:slipway@localhost/s")


def test_one_setting_says_that_nobody_else_is_on_the_network(home: Path) -> None:
    plain = {
        "redis_url": "redis://:a-long-password@redis/0",
        "database_url": "postgresql://slipway:a-long-password@postgres/slipway",
    }
    assert told(home, **plain).count("SLIPWAY_PRIVATE_NETWORK") == 2
    assert told(home, **plain, private_network=True) == ""


def test_engines_over_plain_tcp_and_process_hosts_are_refused(home: Path) -> None:
    said = told(home, allow_plain_tcp_hosts=True, allow_process_hosts=True)
    assert "SLIPWAY_ALLOW_PLAIN_TCP_HOSTS" in said
    assert "SLIPWAY_ALLOW_PROCESS_HOSTS" in said


@pytest.mark.parametrize("name", ["django", "signing", "seal-artifacts", "ca.key"])
def test_a_key_that_others_can_read_is_refused(home: Path, name: str) -> None:
    (home / "secrets" / name).chmod(0o640)
    assert f"secrets/{name} can be read by others: chmod 0600" in told(home)


def test_a_folder_of_keys_that_others_can_enter_is_refused(home: Path) -> None:
    (home / "secrets").chmod(0o755)
    assert "secrets can be read by others: chmod 0700" in told(home)


@pytest.mark.parametrize("key", [b"\0" * 32, b"changeme" * 4, b"too short", b"", b"x" * 33])
def test_a_key_that_somebody_typed_is_refused(home: Path, key: bytes) -> None:
    (home / "secrets" / "signing").write_bytes(key)
    assert "is not 32 random bytes" in told(home)


def test_certificate_and_key_come_together_and_exist(home: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "web.pem", tmp_path / "web.key"
    assert "SLIPWAY_TLS_KEY is missing" in told(home, tls_certificate=certificate)
    assert "web.key is no file" in told(home, tls_certificate=certificate, tls_key=key)
    certificate.touch()
    key.touch(mode=0o644)
    key.chmod(0o644)
    assert "web.key can be read by others" in told(home, tls_certificate=certificate, tls_key=key)
    key.chmod(0o600)
    assert told(home, tls_certificate=certificate, tls_key=key) == ""


def test_everything_that_is_wrong_is_said_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "secrets" / "audit").chmod(0o644)
    monkeypatch.setenv("SLIPWAY_HOME", str(home))
    monkeypatch.setenv("SLIPWAY_PROFILE", "production")
    monkeypatch.setenv("SLIPWAY_DATABASE_URL", "postgresql://slipway:secret-but-long@db/slipway")
    with pytest.raises(Unfit) as caught:
        settings.load()
    assert len(caught.value.problems) == 4
    said = str(caught.value)
    assert all(f"  - {problem}" in said for problem in caught.value.problems)
    assert "secret-but-long" not in said


def test_values_that_cannot_be_read_are_named_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLIPWAY_SWEEP_SECONDS", "a-password-in-the-wrong-place")
    monkeypatch.setenv("SLIPWAY_BUILD_SECONDS", "-1")
    with pytest.raises(Unfit) as caught:
        settings.load()
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "SLIPWAY_SWEEP_SECONDS",
        "SLIPWAY_BUILD_SECONDS",
    ]
    assert "a-password" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="redis-url cannot be read"):
        settings.load({"SLIPWAY_REDIS_URL_FILE": str(tmp_path / "redis-url")})
