"""What `manage.py check` says about keys and certificates."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import checks
from core import clock
from core.pki import Authority
from wire import identity


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    settings.HOME = tmp_path
    return tmp_path


def test_there_is_nothing_to_say_about_a_new_slipway(home: Path) -> None:
    assert checks.transports() == []
    assert Authority(home / "secrets").pem
    assert checks.transports() == []


def test_what_production_refuses_is_an_error(home: Path, settings: Any) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update={"profile": "production", "home": home})
    assert "slipway.E001" in {message.id for message in checks.transports()}


def test_an_authority_that_ends_within_half_a_year_is_a_warning(home: Path) -> None:
    assert Authority(home / "secrets").pem
    nearly_over = clock.now() + timedelta(days=3650 - 100)
    with clock.at(lambda: nearly_over):
        [warning] = checks.transports()
    assert (warning.id, "ca.pem ends on" in warning.msg) == ("slipway.W001", True)


def test_webs_own_certificate_is_looked_at_too(home: Path, settings: Any) -> None:
    certificate = home / "web.pem"
    issued = Authority(home / "secrets").issue(identity.WEB, hours=24)
    certificate.write_text(issued.certificate)
    update = {"tls_certificate": certificate}
    settings.CONFIG = settings.CONFIG.model_copy(update=update)
    assert [warning.id for warning in checks.transports()] == ["slipway.W001"]
