"""The listener: how clients are spoken to, what is taken of them, and what is checked. Pure.

What holds for one endpoint comes with the routes (`deployments.domain.routing_access`, which also
says why the filters stand in this order); here is what holds for everybody.
"""

from __future__ import annotations

from pathlib import Path

from controlplane.gateway_launcher.replies import local_replies
from controlplane.gateway_launcher.settings import LauncherSettings, ListenerTls
from controlplane.gateway_launcher.watched import KEYS_FILTER
from deployments.domain import gateways
from deployments.domain import routing_access as access
from deployments.domain.routing_headers import ANSWERS_ONLY, KEY_HEADER, OURS
from deployments.domain.routing_routes import ROUTE_CONFIG_NAME
from deployments.domain.routing_shapes import Resource, extension, typed

_FILTERS = "envoy.extensions.filters.http"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_DOWNSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_EARLY = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_SCRIPT = Path(__file__).parent / "model.lua"
_KIB = 1024
_MIB = 1024 * _KIB


def listener(settings: LauncherSettings, routes: Resource) -> Resource:
    """`routes` is where they come from."""
    chain: Resource = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": _connection_manager(settings, routes),
            }
        ],
        "transport_socket_connect_timeout": _seconds(settings.limits.headers_seconds),
    }
    if settings.tls is not ListenerTls.PLAIN:
        chain["transport_socket"] = _tls()
    return {
        "name": "models",
        "address": {
            "socket_address": {
                "address": settings.listen_address,
                "port_value": settings.listen_port,
            }
        },
        # With port sharing a second gateway on a taken port would start, and get half of the
        # clients.
        "enable_reuse_port": False,
        # What one connection may have lying here, until it is read or answered; a request that is
        # taken in whole may be as large as its endpoint allows.
        "per_connection_buffer_limit_bytes": 256 * _KIB,
        "filter_chains": [chain],
    }


def _tls() -> Resource:
    return extension(
        "envoy.transport_sockets.tls",
        _DOWNSTREAM_TLS,
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificate_sds_secret_configs": [gateways.secret(gateways.LISTENER)],
        },
    )


def _connection_manager(settings: LauncherSettings, routes: Resource) -> Resource:
    limits = settings.limits
    manager = typed(
        _HCM,
        stat_prefix="models",
        rds={"route_config_name": ROUTE_CONFIG_NAME, "config_source": routes},
        early_header_mutation_extensions=[_without_what_is_ours()],
        http_filters=_filters(),
        local_reply_config=local_replies(),
        # Clients are strangers, on private addresses too: nobody steers retries or timeouts by
        # x-envoy-* headers. An empty list of internal addresses would mean the private ones.
        use_remote_address=True,
        internal_address_config={
            "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]
        },
        generate_request_id=False,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        common_http_protocol_options={
            "headers_with_underscores_action": "DROP_HEADER",
            "idle_timeout": _seconds(limits.idle_seconds),
        },
        http2_protocol_options={
            "max_concurrent_streams": 100,
            "initial_stream_window_size": _MIB,
            "initial_connection_window_size": 4 * _MIB,
        },
        max_request_headers_kb=32,
        server_name="slipway",
        request_headers_timeout=_seconds(limits.headers_seconds),
        request_timeout=_seconds(limits.request_seconds),
        # Neither side moved a byte for so long; above what a request may take at a replica.
        stream_idle_timeout="70s",
        # At the end of the gateway: how long clients are told to go elsewhere.
        drain_timeout="5s",
    )
    if settings.access_log:
        manager["access_log"] = [_access_log()]
    return manager


def _without_what_is_ours() -> Resource:
    """Before anything else is asked of a request."""
    removed = [{"remove": name} for name in ANSWERS_ONLY]
    ours = {"remove_on_match": {"key_matcher": {"prefix": OURS}}}
    return extension("slipway.hygiene", _EARLY, mutations=[ours, *removed])


def _filters() -> list[Resource]:
    """Those that are disabled wake up on routes that bring a configuration for them."""
    limit = f"{_FILTERS}.local_ratelimit.v3.LocalRateLimit"
    buffer = f"{_FILTERS}.buffer.v3.Buffer"
    return [
        {
            "name": access.KEYS,
            "config_discovery": {
                "config_source": gateways.file_source(gateways.KEYS),
                "type_urls": [f"type.googleapis.com/{KEYS_FILTER}"],
            },
        },
        _asleep(access.GRPC_BODY, buffer, max_request_bytes=1),
        _asleep(access.MODEL, f"{_FILTERS}.lua.v3.Lua", **_script()),
        # No word of a route: nobody.
        extension(access.ACCESS, f"{_FILTERS}.rbac.v3.RBAC", matcher=_nobody()),
        _asleep(access.RATE, limit, stat_prefix="rate"),
        _asleep(access.QUOTA, limit, stat_prefix="quota"),
        _asleep(access.BODY, buffer, max_request_bytes=1),
        extension(
            "envoy.filters.http.router", f"{_FILTERS}.router.v3.Router", suppress_envoy_headers=True
        ),
    ]


def _asleep(name: str, kind: str, **fields: object) -> Resource:
    return {**extension(name, kind, **fields), "disabled": True}


def _script() -> Resource:
    return {
        "source_codes": {access.SCRIPT: {"inline_string": _SCRIPT.read_text()}},
        "clear_route_cache": False,
    }


def _nobody() -> Resource:
    denied = typed("envoy.config.rbac.v3.Action", name="closed", action="DENY")
    return {"on_no_match": {"action": {"name": "closed", "typed_config": denied}}}


def _access_log() -> Resource:
    """Which key, never the key."""
    stream = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    fields = {
        "event": "request",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "milliseconds": "%DURATION%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "key": f"%REQ({KEY_HEADER})%",
    }
    return extension("envoy.access_loggers.stdout", stream, log_format={"json_format": fields})


def _seconds(value: float) -> str:
    return f"{value:g}s"
