"""Clusters: one per release, with its ready replicas and the rules for leaving one out.

Why the health rules are as they are:

- Probes run each second also without traffic. Envoy's default for an unused cluster is one a
  minute, and a release is unused exactly when it is about to get traffic. The first probe leaves at
  once when the cluster arrives and its first success counts, so the cluster is usable one probe
  later.
- A readiness answer other than 200 takes a replica out at the first probe (that is how it says that
  it drains); only silence and refused connections need two.
- The panic threshold is 1 %: as long as one replica is healthy only healthy ones are asked, so a
  replica that hangs costs nobody a timeout. With none healthy all are tried. For a single replica
  whose probe was merely late that is the difference between an answer and a 503, and for a dead one
  the connection fails as fast as the refusal would have been.
- Idle connections are given up before a replica closes them (5 s is the shortest keep-alive that a
  replica has); otherwise a request could be written into a connection that is just being closed,
  and such a request is not repeated, since only failures to connect are.
- Envoy allows three retries at once per cluster by default; a dead replica under load needs more.
"""

from __future__ import annotations

import ipaddress
from typing import Any, TypeAlias

from deployments.domain.routing_inputs import EnvironmentRoutes, ReleaseCluster

Resource: TypeAlias = dict[str, Any]

CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
READY_PATH = "/v2/health/ready"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANY = 10_000


def clusters(routes: EnvironmentRoutes) -> list[Resource]:
    """One resource per release with addresses, in the order of their names."""
    found: dict[str, Resource] = {}
    for endpoint in routes.endpoints:
        for cluster in endpoint.clusters:
            if cluster.addresses:
                found[cluster.release_id] = _cluster(cluster)
    return [found[name] for name in sorted(found)]


def _cluster(cluster: ReleaseCluster) -> Resource:
    addresses = sorted(set(cluster.addresses))
    numeric = all(_is_ip(host) for host, _ in addresses)
    return {
        "@type": CLUSTER_TYPE,
        "name": cluster.release_id,
        "type": "STATIC" if numeric else "STRICT_DNS",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": cluster.release_id,
            "endpoints": [{"lb_endpoints": [_endpoint(host, port) for host, port in addresses]}],
        },
        "health_checks": [_health_check()],
        "outlier_detection": _outlier_detection(),
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _MANY,
                    "max_pending_requests": _MANY,
                    "max_requests": _MANY,
                    "max_retries": _MANY,
                }
            ]
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "common_http_protocol_options": {"idle_timeout": "3s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _endpoint(host: str, port: int) -> Resource:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def _health_check() -> Resource:
    return {
        "timeout": "5s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": READY_PATH},
    }


def _outlier_detection() -> Resource:
    return {
        "consecutive_gateway_failure": 5,
        "enforcing_consecutive_gateway_failure": 100,
        # A model that answers 500 to bad luck is for the rollout's gates to judge, not for the
        # balancer.
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 50,
    }


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
