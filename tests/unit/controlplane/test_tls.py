"""The certificate that web shows."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane import tls
from controlplane.config import Config
from core import clock
from core.pki import Authority
from tests.unit.keys import handshakes
from wire import identity


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "secrets")


@pytest.fixture
def noon() -> Iterator[list[datetime]]:
    times = [datetime.now(UTC)]
    with clock.at(lambda: times[0]):
        yield times


def production(**given: object) -> Config:
    return Config(profile="production", web_url="https://slipway.example.org:8443", **given)  # type: ignore[arg-type]


def seen(server: ssl.SSLContext, authority: Authority, host: str = "slipway.example.org") -> int:
    """The serial number of what a browser is shown that asks for this host and checks its name."""
    context = ssl.create_default_context(cadata=authority.pem)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    asking = context.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(3):
        handshakes.step(asking.do_handshake)
        handshakes.step(answering.do_handshake)
    return int(asking.getpeercert()["serialNumber"], 16)  # type: ignore[index,arg-type]


def write(folder: Path, authority: Authority) -> tuple[Path, Path]:
    issued = authority.issue(identity.WEB, hours=1, names=["slipway.example.org"])
    certificate, key = folder / "web.pem", folder / "web.key"
    for path, text in ((certificate, issued.certificate), (key, issued.key)):
        later = path.stat().st_mtime_ns + 1_000_000 if path.exists() else None
        path.write_text(text)
        if later:
            os.utime(path, ns=(later, later))
    return certificate, key


def test_web_is_plain_in_the_embedded_profile_and_behind_a_proxy(authority: Authority) -> None:
    assert tls.of_web(Config(), authority) is None
    assert tls.of_web(production(behind_tls_proxy=True), authority) is None


def test_in_production_web_shows_a_certificate_of_its_own_authority(authority: Authority) -> None:
    shown = tls.of_web(production(allowed_hosts=["web", ".example.org", "[::1]"]), authority)
    assert shown is not None
    for host in ("slipway.example.org", "web", "::1"):
        assert seen(shown.context, authority, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        seen(shown.context, authority, "elsewhere.example.org")


def test_that_certificate_is_renewed_while_web_runs(
    authority: Authority, noon: list[datetime]
) -> None:
    shown = tls.of_web(production(), authority)
    assert shown is not None
    first = seen(shown.context, authority)
    shown.refresh()
    assert seen(shown.context, authority) == first
    noon[0] += timedelta(hours=25)
    shown.refresh()
    noon[0] -= timedelta(hours=25)
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        seen(shown.context, authority)  # of tomorrow: it is another one


def test_files_win_and_are_read_again_when_they_change(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = write(tmp_path, authority)
    shown = tls.of_web(production(tls_certificate=certificate, tls_key=key), authority)
    assert shown is not None
    first = seen(shown.context, authority)
    shown.refresh()
    assert seen(shown.context, authority) == first
    write(tmp_path, authority)
    shown.refresh()
    assert seen(shown.context, authority) != first


def test_a_pair_that_is_half_replaced_is_not_shown(authority: Authority, tmp_path: Path) -> None:
    certificate, key = write(tmp_path, authority)
    shown = tls.FromFiles(certificate, key)
    first, old_key = seen(shown.context, authority), key.read_text()
    write(tmp_path, authority)
    new_key = key.read_text()
    key.write_text(old_key)
    shown.refresh()
    assert seen(shown.context, authority) == first
    key.write_text(new_key)
    shown.refresh()
    assert seen(shown.context, authority) != first


def test_files_that_are_gone_change_nothing(authority: Authority, tmp_path: Path) -> None:
    certificate, key = write(tmp_path, authority)
    shown = tls.FromFiles(certificate, key)
    certificate.unlink()
    shown.refresh()
    assert seen(shown.context, authority)


def test_what_is_no_pair_is_refused_at_the_start(authority: Authority, tmp_path: Path) -> None:
    certificate, _ = write(tmp_path, authority)
    other = tmp_path / "other"
    other.mkdir()
    _, key = write(other, authority)
    with pytest.raises(ssl.SSLError):
        tls.FromFiles(certificate, key)
