"""Envoy's bootstrap. Pure: the listener, where its configuration comes from, and nothing of models.

The cluster `slipway` has two priorities: web first, and the launcher's own small server, which
serves the last accepted snapshot, only while web does not answer its health check.
"""

from __future__ import annotations

import ipaddress
from typing import Any, TypeAlias

from controlplane.gateway_launcher.settings import LauncherSettings

Config: TypeAlias = dict[str, Any]

_TYPE = "type.googleapis.com/"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONTROL_PLANE = "slipway"
ADMIN_SOCKET = "admin.sock"
HOLD_LIMIT = "30s"
"""Longer than web holds a poll."""


def bootstrap(settings: LauncherSettings, *, token: str, local_port: int) -> Config:
    return {
        "node": {
            "id": settings.node_id,
            "cluster": settings.name,
            "metadata": {"token": token},
        },
        # No port, which every account of this machine could ask: the admin shows secrets. The
        # path starts in Envoy's working folder, because that of a socket must be short.
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _config_source()},
        "static_resources": {
            "clusters": [_control_plane(settings, local_port)],
            "listeners": [_listener(settings)],
        },
        "overload_manager": {"resource_monitors": [_connection_limit()]},
    }


def _connection_limit() -> Config:
    """Without one, clients that only connect use up the file descriptors."""
    name = "envoy.resource_monitors.global_downstream_max_connections"
    monitor = "envoy.extensions.resource_monitors.downstream_connections.v3"
    return {
        "name": name,
        "typed_config": {
            "@type": f"{_TYPE}{monitor}.DownstreamConnectionsConfig",
            "max_active_downstream_connections": 20_000,
        },
    }


def _address(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def _config_source() -> Config:
    return {
        "resource_api_version": "V3",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [_CONTROL_PLANE],
            "refresh_delay": "0.01s",
            "request_timeout": HOLD_LIMIT,
        },
    }


def _control_plane(settings: LauncherSettings, local_port: int) -> Config:
    cluster: Config = {
        "name": _CONTROL_PLANE,
        "type": "STATIC" if _is_ip(settings.web_host) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _CONTROL_PLANE,
            "endpoints": [
                _priority(0, settings.web_host, settings.web_port),
                _priority(1, "127.0.0.1", local_port, probed=False),
            ],
        },
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/v3/discovery:health"},
            }
        ],
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": _TYPE + _HTTP_OPTIONS,
                # Below the 5 s after which uvicorn closes an idle connection.
                "common_http_protocol_options": {"idle_timeout": "3s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
    if settings.web_is_https:
        cluster["transport_socket_matches"] = _tls_for_web(settings)
    return cluster


def _tls_for_web(settings: LauncherSettings) -> list[Config]:
    """TLS to web, none to the launcher: told apart by the endpoints' metadata."""
    context = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    trusted = {"filename": "/etc/ssl/certs/ca-certificates.crt"}
    names = [{"san_type": "DNS", "matcher": {"exact": settings.web_host}}]
    validation = {"trusted_ca": trusted, "match_typed_subject_alt_names": names}
    return [
        {
            "name": "web",
            "match": {"web": True},
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": _TYPE + context,
                    "sni": settings.web_host,
                    "common_tls_context": {"validation_context": validation},
                },
            },
        }
    ]


def _priority(priority: int, host: str, port: int, *, probed: bool = True) -> Config:
    endpoint: Config = {"address": _address(host, port)}
    if not probed:
        endpoint["health_check_config"] = {"disable_active_health_check": True}
    match = {"filter_metadata": {"envoy.transport_socket_match": {"web": probed}}}
    return {"priority": priority, "lb_endpoints": [{"endpoint": endpoint, "metadata": match}]}


def _listener(settings: LauncherSettings) -> Config:
    return {
        "name": "models",
        "address": _address(settings.listen_address, settings.listen_port),
        # With port sharing a second gateway on a taken port would start, and get half of the
        # clients.
        "enable_reuse_port": False,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(settings),
                    }
                ]
            }
        ],
    }


def _connection_manager(settings: LauncherSettings) -> Config:
    router = "envoy.extensions.filters.http.router.v3.Router"
    manager: Config = {
        "@type": _TYPE + _HCM,
        "stat_prefix": "models",
        "rds": {"route_config_name": "models", "config_source": _config_source()},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPE + router, "suppress_envoy_headers": True},
            }
        ],
        # Clients are strangers, on private addresses too: nobody steers retries or timeouts by
        # x-envoy-* headers. An empty list of internal addresses would mean the private ones.
        "use_remote_address": True,
        "internal_address_config": {
            "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]
        },
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
        "server_name": "slipway",
        "request_headers_timeout": "10s",
        # At the end of the gateway: how long clients are told to go elsewhere.
        "drain_timeout": "5s",
        "local_reply_config": _local_replies(),
    }
    if settings.access_log:
        manager["access_log"] = [_access_log()]
    return manager


def _local_replies() -> Config:
    """Errors that the gateway makes itself are JSON like a replica's. Direct responses are JSON
    already; only what Envoy calls a failure carries a response flag."""
    return {
        "mappers": [
            {
                "filter": {"response_flag_filter": {}},
                "body_format_override": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}},
            }
        ]
    }


def _access_log() -> Config:
    stream = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    fields = {
        "event": "request",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "milliseconds": "%DURATION%",
        "cluster": "%UPSTREAM_CLUSTER%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {"@type": _TYPE + stream, "log_format": {"json_format": fields}},
    }


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
