"""Envoy's bootstrap. Pure: where its configuration comes from, and nothing of models.

The cluster `slipway` has two priorities: web first, and the launcher's own small server, which
serves the last accepted snapshot, only while web does not answer its health check.
"""

from __future__ import annotations

import ipaddress

from controlplane.gateway_launcher.listener import listener
from controlplane.gateway_launcher.settings import LauncherSettings, Limits
from deployments.domain.routing_shapes import HTTP_OPTIONS, Resource, extension, typed

_UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_MONITORS = "envoy.extensions.resource_monitors"
_SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_CONTROL_PLANE = "slipway"
ADMIN_SOCKET = "admin.sock"
HOLD_LIMIT = "30s"
"""Longer than web holds a poll."""


def bootstrap(settings: LauncherSettings, *, token: str, local_port: int) -> Resource:
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
            "listeners": [listener(settings, _config_source())],
        },
        "overload_manager": _overload(settings.limits),
        "layered_runtime": {"layers": [{"name": "slipway", "static_layer": _runtime()}]},
    }


def _runtime() -> Resource:
    return {
        # A client that opens streams and resets them loses its connection after so many, and one
        # with many streams at once does not keep a thread from everybody else.
        "overload.premature_reset_total_stream_count": 100,
        "http.max_requests_per_io_cycle": 20,
    }


def _overload(limits: Limits) -> Resource:
    """Without a limit, clients that only connect use up the file descriptors. When memory runs out
    those go first who hold most of it."""
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            extension(
                connections,
                f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=limits.connections,
            ),
            extension(
                heap,
                f"{_MONITORS}.fixed_heap.v3.FixedHeapConfig",
                max_heap_size_bytes=limits.memory_bytes,
            ),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 20},
        "actions": [
            _when(heap, "shrink_heap", {"threshold": {"value": 0.8}}),
            _when(
                heap,
                "reset_high_memory_stream",
                {"scaled": {"scaling_threshold": 0.85, "saturation_threshold": 0.98}},
            ),
            _when(heap, "stop_accepting_requests", {"threshold": {"value": 0.95}}),
        ],
    }


def _when(monitor: str, action: str, trigger: Resource) -> Resource:
    return {
        "name": f"envoy.overload_actions.{action}",
        "triggers": [{"name": monitor, **trigger}],
    }


def _address(host: str, port: int) -> Resource:
    return {"socket_address": {"address": host, "port_value": port}}


def _config_source() -> Resource:
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


def _control_plane(settings: LauncherSettings, local_port: int) -> Resource:
    cluster: Resource = {
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
            HTTP_OPTIONS: typed(
                HTTP_OPTIONS,
                # Below the 5 s after which uvicorn closes an idle connection.
                common_http_protocol_options={"idle_timeout": "3s"},
                explicit_http_config={"http_protocol_options": {}},
            )
        },
    }
    if settings.web_is_https:
        cluster["transport_socket_matches"] = _tls_for_web(settings)
    return cluster


def _tls_for_web(settings: LauncherSettings) -> list[Resource]:
    """TLS to web, none to the launcher: told apart by the endpoints' metadata."""
    trusted = settings.web_ca.absolute() if settings.web_ca else _SYSTEM_AUTHORITIES
    is_ip = _is_ip(settings.web_host)
    name = {
        "san_type": "IP_ADDRESS" if is_ip else "DNS",
        "matcher": {"exact": settings.web_host},
    }
    validation = {
        "trusted_ca": {"filename": str(trusted)},
        "match_typed_subject_alt_names": [name],
    }
    socket = extension(
        "envoy.transport_sockets.tls",
        _UPSTREAM_TLS,
        common_tls_context={
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "validation_context": validation,
        },
        **({} if is_ip else {"sni": settings.web_host}),
    )
    return [{"name": "web", "match": {"web": True}, "transport_socket": socket}]


def _priority(priority: int, host: str, port: int, *, probed: bool = True) -> Resource:
    endpoint: Resource = {"address": _address(host, port)}
    if not probed:
        endpoint["health_check_config"] = {"disable_active_health_check": True}
    match = {"filter_metadata": {"envoy.transport_socket_match": {"web": probed}}}
    return {"priority": priority, "lb_endpoints": [{"endpoint": endpoint, "metadata": match}]}


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
