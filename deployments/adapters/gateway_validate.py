"""Why Envoy would refuse resources: asked of Envoy itself, in validation mode, offline."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployments.adapters.gateway_binary import envoy_binary
from deployments.domain import gateways
from deployments.domain.routing import CLUSTER_TYPE

UNKNOWN = "the gateway refused it; its log (envoy.log in the gateway's state folder) has the reason"
_LONGEST = 2000
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def explain_rejection(
    type_url: str, resources: Sequence[Mapping[str, Any]], *, timeout: float = 10.0
) -> str:
    """Envoy's own sentence, or `UNKNOWN` where no Envoy is installed beside web or it finds
    nothing. Never raises for what the resources hold. Blocking, some 100 ms."""
    binary = envoy_binary()
    if binary is None:
        return UNKNOWN
    with tempfile.TemporaryDirectory(prefix="slipway-validate-") as folder:
        config = Path(folder) / "config.json"
        config.touch(0o600)
        config.write_text(json.dumps(_config(type_url, resources)))
        _place_secrets(Path(folder))
        try:
            done = subprocess.run(
                [
                    str(binary),
                    "--mode",
                    "validate",
                    "--disable-hot-restart",
                    "--log-level",
                    "error",
                    "--config-path",
                    str(config),
                ],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                stdin=subprocess.DEVNULL,
                cwd=folder,
            )
        except (OSError, subprocess.TimeoutExpired):
            return UNKNOWN
        if done.returncode == 0:
            return UNKNOWN
        return _reason(done.stderr, config)


def _config(type_url: str, resources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    static: dict[str, Any]
    if type_url == CLUSTER_TYPE:
        static = {"clusters": [_plain(each) for each in resources]}
    else:
        static = {"listeners": [_listener(n, _plain(r)) for n, r in enumerate(resources)]}
    return {"node": {"id": "validate", "cluster": "validate"}, "static_resources": static}


def _place_secrets(folder: Path) -> None:
    """Clusters refer to files of the launcher's, which have to exist and are not read here."""
    for name in (gateways.OWN_CERTIFICATE, gateways.AUTHORITY):
        path = folder / gateways.watched_file(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"resources": []}')


def _plain(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}


def _listener(number: int, routes: dict[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": f"type.googleapis.com/{_HCM}",
        "stat_prefix": "models",
        # As over xDS: a route may name a cluster that another answer brings.
        "route_config": {**routes, "validate_clusters": False},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"type.googleapis.com/{_ROUTER}"},
            }
        ],
    }
    network = "envoy.filters.network.http_connection_manager"
    return {
        "name": f"validate-{number}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": network, "typed_config": manager}]}],
    }


def _reason(stderr: str, config: Path) -> str:
    """Envoy's sentence alone. It may print the configuration before it, with the smoke secret."""
    _, found, violated = stderr.partition("Proto constraint validation failed")
    if found:
        reason = found + violated
    else:
        _, found, rest = stderr.partition(f"error initializing configuration '{config}': ")
        reason = rest.partition("\n")[0]
    return " ".join(reason.split())[:_LONGEST] or UNKNOWN
