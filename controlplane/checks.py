"""System checks: what `manage.py check` says about keys, certificates and transports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from cryptography import x509
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from controlplane import production
from core import clock

_AUTHORITY_LEFT = timedelta(days=180)
_CERTIFICATE_LEFT = timedelta(days=14)


@register(Tags.security)
def transports(app_configs: Sequence[Any] | None = None, **_: Any) -> list[CheckMessage]:
    """All that production refuses, and what ends soon."""
    del app_configs
    return [
        *(Error(problem, id="slipway.E001") for problem in production.problems(settings.CONFIG)),
        *_ends_soon(),
    ]


def _ends_soon() -> Iterator[CheckMessage]:
    authority = settings.HOME / "secrets" / "ca.pem"
    watched = [(authority, _AUTHORITY_LEFT), (settings.CONFIG.tls_certificate, _CERTIFICATE_LEFT)]
    for path, margin in watched:
        if path is None or not path.is_file():
            continue
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        if ends - clock.now() < margin:
            yield Warning(
                f"The certificate {path} ends on {ends:%Y-%m-%d}.",
                hint="docs/how-to/tls.md says how it is replaced.",
                id="slipway.W001",
            )
