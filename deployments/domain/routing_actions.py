"""What a route does with a request that it takes: shares, mirrors, retries, time limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deployments.domain.routing_clusters import grpc_name
from deployments.domain.routing_headers import KEY_HEADER
from deployments.domain.routing_inputs import Address, EndpointRoute, ReleaseCluster, Share
from deployments.domain.routing_shapes import Resource, extension

REQUEST_TIMEOUT = "60s"

_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_RETRY: Resource = {
    # Only failures before the request was sent: an inference may be charged, recorded or slow.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 2,
    "retry_host_predicate": [
        extension("envoy.retry_host_predicates.previous_hosts", _PREVIOUS_HOSTS)
    ],
    "host_selection_retry_max_attempts": 5,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
}


@dataclass(frozen=True, slots=True)
class Transport:
    """How requests of one kind reach a release."""

    suffix: str
    cluster: Callable[[str], str]
    addresses: Callable[[ReleaseCluster], tuple[Address, ...]]
    limits: Resource

    def reaches(self, endpoint: EndpointRoute) -> set[str]:
        return {each.release_id for each in endpoint.clusters if self.addresses(each)}


HTTP = Transport("", str, lambda cluster: cluster.addresses, {})
GRPC = Transport(
    ":grpc",
    grpc_name,
    lambda cluster: cluster.grpc_addresses,
    # A client's own deadline counts too, where it is shorter.
    {"max_stream_duration": {"grpc_timeout_header_max": REQUEST_TIMEOUT}},
)


def known_releases(endpoint: EndpointRoute, transport: Transport) -> list[str]:
    return sorted(transport.reaches(endpoint))


def serving(endpoint: EndpointRoute, transport: Transport) -> list[Share]:
    """The shares that answer; what they leave out is shared out in their proportion."""
    reachable = transport.reaches(endpoint)
    return [each for each in endpoint.shares if each.percent and each.release_id in reachable]


def mirrors(endpoint: EndpointRoute, transport: Transport) -> list[Share]:
    reachable = transport.reaches(endpoint)
    return [
        each for each in endpoint.shares if each.mirror_percent and each.release_id in reachable
    ]


def live_versions(endpoint: EndpointRoute, transport: Transport) -> list[tuple[int, list[Share]]]:
    """Who answers when a version is named. Two releases may be of one version (another
    configuration of it): then those with weight answer, in their proportion, and an exposed one
    only where none has any."""
    live: dict[int, list[Share]] = {}
    for share in serving(endpoint, transport):
        live.setdefault(share.version, []).append(share)
    reachable = transport.reaches(endpoint)
    for exposed in endpoint.exposed:
        if exposed.release_id in reachable and exposed.version not in live:
            live[exposed.version] = [Share(exposed.release_id, exposed.version, 100)]
    return sorted(live.items())


def forward(
    shares: Iterable[Share], transport: Transport, mirrored_to: Iterable[Share] = ()
) -> Resource:
    weights = [{"name": transport.cluster(s.release_id), "weight": s.percent} for s in shares]
    action: Resource = {
        "weighted_clusters": {"clusters": weights},
        "timeout": REQUEST_TIMEOUT,
        "retry_policy": _RETRY,
        **transport.limits,
    }
    policies = [_mirror(share, transport) for share in mirrored_to]
    return action | ({"request_mirror_policies": policies} if policies else {})


def to_one(release_id: str) -> Resource:
    return {"cluster": release_id, "timeout": REQUEST_TIMEOUT}


def _mirror(share: Share, transport: Transport) -> Resource:
    fraction = {"numerator": share.mirror_percent, "denominator": "HUNDRED"}
    return {
        "cluster": transport.cluster(share.release_id),
        "runtime_fraction": {"default_value": fraction},
        "disable_shadow_host_suffix_append": True,
        # What is mirrored was asked once: a key's requests are counted where it was answered.
        "request_headers_mutations": [{"remove": KEY_HEADER}],
    }
