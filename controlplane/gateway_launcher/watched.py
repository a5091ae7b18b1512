"""The files that Envoy watches: certificates and what verifies clients' keys. Pure, but for
writing them; each is replaced whole, and what it held before counts until it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from controlplane.gateway_launcher.files import write_private
from controlplane.gateway_launcher.identity import Identity
from deployments.domain import gateways
from deployments.domain.routing_access import A_KEY, A_KEY_IF_ANY
from deployments.domain.routing_headers import KEY_HEADER
from deployments.domain.routing_shapes import Resource, extension, typed

_SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
_EXTENSION = "envoy.config.core.v3.TypedExtensionConfig"
KEYS_FILTER = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_PROVIDER = "slipway"
# Verified keys that each thread remembers, so that a signature is checked once.
_REMEMBERED = 2000


def write_identity(state: Path, identity: Identity) -> None:
    _write(state, gateways.OWN_CERTIFICATE, _certificate(identity.certificate, identity.key))
    _write(state, gateways.AUTHORITY, _validation(identity.authority))
    _write(state, gateways.KEYS, _keys(identity))


def write_listener(state: Path, certificate: str, key: str) -> None:
    _write(state, gateways.LISTENER, _certificate(certificate, key))


def _write(state: Path, name: str, content: Resource) -> None:
    path = state / gateways.watched_file(name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    kind = content.pop("@kind")
    write_private(path, {"resources": [typed(kind, name=name, **content)]})


def _certificate(certificate: str, key: str) -> Resource:
    """Both in one file: a certificate is never seen with the key of another."""
    return {
        "@kind": _SECRET,
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate},
            "private_key": {"inline_string": key},
        },
    }


def _validation(authority: str) -> Resource:
    context: dict[str, Any] = {"trusted_ca": {"inline_string": authority}}
    return {"@kind": _SECRET, "validation_context": context}


def _keys(identity: Identity) -> Resource:
    """A key is a token of the control plane's, in either of two headers; its id goes on to the
    other filters, and nothing of it to a replica."""
    provider = {
        "issuer": gateways.KEY_ISSUER,
        "audiences": [identity.environment],
        "local_jwks": {"inline_string": json.dumps(identity.jwks)},
        "from_headers": [
            {"name": "authorization", "value_prefix": "Bearer "},
            {"name": "x-api-key"},
        ],
        "claim_to_headers": [{"header_name": KEY_HEADER, "claim_name": "jti"}],
        "require_expiration": True,
        "clock_skew_seconds": 1,
        "jwt_cache_config": {"jwt_cache_size": _REMEMBERED},
    }
    either = [{"provider_name": _PROVIDER}, {"allow_missing_or_failed": {}}]
    config = extension(
        gateways.KEYS,
        KEYS_FILTER,
        providers={_PROVIDER: provider},
        requirement_map={
            A_KEY: {"provider_name": _PROVIDER},
            A_KEY_IF_ANY: {"requires_any": {"requirements": either}},
        },
    )
    return {"@kind": _EXTENSION, "typed_config": config["typed_config"]}
