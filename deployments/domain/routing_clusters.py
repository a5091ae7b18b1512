"""Clusters: two per release, over HTTP and over gRPC, with its ready replicas and the rules for
leaving one out; and one over all that serve, for gRPC calls that mean no model.

Why the rules are as they are:

- A connection is mutual TLS: the gateway shows its own certificate and takes only one that names
  the release, so a port that was given to somebody else is never taken for a replica. Both come
  from files that the launcher writes, and a new one counts from the next connection on.
- Probes run each second also without traffic. Envoy's default for an unused cluster is one a
  minute, and a release is unused exactly when it is about to get traffic. The first probe leaves at
  once when the cluster arrives and its first success counts, so the cluster is usable one probe
  later.
- A readiness answer other than 200 takes a replica out at the first probe (that is how it says that
  it drains); only silence and refused connections need two. Over gRPC the very same answer of the
  replica's HTTP port counts, so both transports leave a replica at the same moment.
- The panic threshold is 1 %: as long as one replica is healthy only healthy ones are asked, so a
  replica that hangs costs nobody a timeout. With none healthy all are tried. For a single replica
  whose probe was merely late that is the difference between an answer and a 503, and for a dead one
  the connection fails as fast as the refusal would have been.
- Idle connections are given up before a replica closes them (5 s is the shortest keep-alive that a
  replica has); otherwise a request could be written into a connection that is just being closed,
  and such a request is not repeated, since only failures to connect are.
- Envoy allows three retries at once per cluster by default; a dead replica under load needs more.
- Who answered is written here and not at the routes: a refusal of the gateway's own says nothing
  about a release to somebody who has no key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from deployments.domain import gateways
from deployments.domain.routing_headers import RELEASE_HEADER, VERSION_HEADER
from deployments.domain.routing_inputs import Address, EnvironmentRoutes, ReleaseCluster
from deployments.domain.routing_shapes import HTTP_OPTIONS, Resource, extension, header, typed
from wire import identity

CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
READY_PATH = "/v2/health/ready"
GRPC_SERVER = "server:grpc"
"""The cluster of every replica that serves over gRPC, whatever its model."""

_UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_AGGREGATE = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
_MANY = 10_000


def grpc_name(release_id: str) -> str:
    """The name of a release's cluster over gRPC; that over HTTP is the release id."""
    return f"{release_id}:grpc"


def clusters(routes: EnvironmentRoutes) -> list[Resource]:
    """One resource per release and transport with addresses, in the order of their names."""
    found: dict[str, Resource] = {}
    for endpoint in routes.endpoints:
        for cluster in endpoint.clusters:
            if cluster.addresses:
                found[cluster.release_id] = _over_http(cluster, routes.environment)
            if cluster.grpc_addresses:
                name = grpc_name(cluster.release_id)
                found[name] = _over_grpc(cluster, routes.environment, name)
    serving = sorted(serving_over_grpc(routes))
    if serving:
        found[GRPC_SERVER] = _any_of(serving)
    return [found[name] for name in sorted(found)]


def serving_over_grpc(routes: EnvironmentRoutes) -> set[str]:
    """The gRPC clusters of all releases with traffic."""
    return {
        grpc_name(share.release_id)
        for endpoint in routes.endpoints
        for share in endpoint.shares
        for cluster in endpoint.clusters
        if share.percent and share.release_id == cluster.release_id and cluster.grpc_addresses
    }


def _over_http(cluster: ReleaseCluster, environment: str) -> Resource:
    found = _cluster(cluster, environment, cluster.release_id, cluster.addresses)
    endpoints = [_endpoint(each.host, each.port) for each in _sorted(cluster.addresses)]
    found["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}]
    return found


def _over_grpc(cluster: ReleaseCluster, environment: str, name: str) -> Resource:
    found = _cluster(cluster, environment, name, cluster.grpc_addresses)
    found["load_assignment"]["endpoints"] = [
        {
            "lb_endpoints": [
                _endpoint(each.host, each.grpc_port or 0, probed_at=each.port)
                for each in _sorted(cluster.grpc_addresses)
            ]
        }
    ]
    options = found["typed_extension_protocol_options"][HTTP_OPTIONS]
    options["explicit_http_config"] = {"http2_protocol_options": {}}
    return found


def _cluster(
    cluster: ReleaseCluster, environment: str, name: str, addresses: Iterable[Address]
) -> Resource:
    numeric = all(_is_ip(each.host) for each in addresses)
    return {
        "@type": CLUSTER_TYPE,
        "name": name,
        "type": "STATIC" if numeric else "STRICT_DNS",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name},
        "transport_socket": _tls(identity.release(environment, cluster.release_id)),
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
            HTTP_OPTIONS: typed(
                HTTP_OPTIONS,
                common_http_protocol_options={"idle_timeout": "3s"},
                explicit_http_config={"http_protocol_options": {}},
                http_filters=[_who_answered(cluster), extension("codec", _CODEC)],
            )
        },
    }


def _any_of(names: list[str]) -> Resource:
    """Asks the first whose replicas are healthy."""
    return {
        "@type": CLUSTER_TYPE,
        "name": GRPC_SERVER,
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": extension("envoy.clusters.aggregate", _AGGREGATE, clusters=names),
    }


def _tls(begins_with: str) -> Resource:
    accepted = {"san_type": "URI", "matcher": {"prefix": begins_with}}
    return extension(
        "envoy.transport_sockets.tls",
        _UPSTREAM_TLS,
        common_tls_context={
            # The newest of a client is older by default.
            "tls_params": dict.fromkeys(
                ("tls_minimum_protocol_version", "tls_maximum_protocol_version"), "TLSv1_3"
            ),
            "tls_certificate_sds_secret_configs": [gateways.secret(gateways.OWN_CERTIFICATE)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": [accepted]},
                "validation_context_sds_secret_config": gateways.secret(gateways.AUTHORITY),
            },
        },
    )


def _who_answered(cluster: ReleaseCluster) -> Resource:
    said = [header(RELEASE_HEADER, cluster.release_id)]
    if cluster.version is not None:
        said.append(header(VERSION_HEADER, str(cluster.version)))
    mutations = [{"append": each} for each in said]
    return extension("who", _MUTATION, mutations={"response_mutations": mutations})


def _sorted(addresses: Iterable[Address]) -> list[Address]:
    return sorted(set(addresses), key=lambda each: (each.host, each.port))


def _endpoint(host: str, port: int, *, probed_at: int | None = None) -> Resource:
    found: Resource = {"address": {"socket_address": {"address": host, "port_value": port}}}
    if probed_at:
        found["health_check_config"] = {"port_value": probed_at}
    return {"endpoint": found}


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
