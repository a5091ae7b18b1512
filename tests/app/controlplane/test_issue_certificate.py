"""A certificate of the internal authority for a proxy before web."""

from __future__ import annotations

import ssl
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from controlplane import tls
from core import clock, pki
from core.pki import Authority
from governance.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def authority(tmp_path: Path, settings: Any) -> Authority:
    settings.AUTHORITY = Authority(tmp_path / "secrets")
    return settings.AUTHORITY


def issue(folder: Path, *arguments: str) -> str:
    out = StringIO()
    call_command(
        "issue_certificate",
        *("--for", "web", "--name", "slipway.example.org", "--name", "10.0.0.7"),
        *("--into", str(folder), *arguments),
        stdout=out,
    )
    return out.getvalue()


def test_the_files_are_a_certificate_that_web_can_show(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    assert "web.pem is good until" in issue(folder, "--hours", "48")
    assert stat.S_IMODE((folder / "web.key").stat().st_mode) == 0o600
    assert tls.FromFiles(folder / "web.pem", folder / "web.key").context
    left = pki.expires_at((folder / "web.pem").read_text()) - clock.timestamp()
    assert 47 * 3600 < left <= 48 * 3600
    trusted = ssl.create_default_context(cafile=folder / "authority.pem")
    assert len(trusted.get_ca_certs()) >= 1
    assert AuditEvent.objects.get().action == "certificate.issue"


def test_repeating_it_is_a_renewal(tmp_path: Path) -> None:
    issue(tmp_path)
    shown = tls.FromFiles(tmp_path / "web.pem", tmp_path / "web.key")
    first = (tmp_path / "web.pem").read_text()
    issue(tmp_path)
    shown.refresh()
    assert (tmp_path / "web.pem").read_text() != first
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("hours", ["0", "-1", "1e9"])
def test_a_time_that_makes_no_sense_is_refused(tmp_path: Path, hours: str) -> None:
    with pytest.raises(CommandError, match="--hours"):
        issue(tmp_path, "--hours", hours)
    assert not AuditEvent.objects.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(CommandError, match="tls"):
        issue(tmp_path / "tls")
