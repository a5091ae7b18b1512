"""Routes: which release answers a path, and what the gateway answers by itself.

The order inside an endpoint matters, because the first match wins: smoke routes (they need the
secret), then `/versions/N` of live releases, then the weighted route. Everything unknown ends in
one 404.

Both internal headers are taken off every request before it goes upstream; only a smoke route puts a
marker back, so nobody outside can make a replica believe that a request is a smoke inference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from deployments.domain.routing_clusters import Resource
from deployments.domain.routing_inputs import EndpointRoute, EnvironmentRoutes, Share

ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
ROUTE_CONFIG_NAME = "models"
SMOKE_HEADER = "x-slipway-smoke"
SMOKE_RELEASE_HEADER = "x-slipway-release"
VERSION_HEADER = "x-model-version"
RELEASE_HEADER = "x-release"
REQUEST_TIMEOUT = "60s"

_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_RETRY: Resource = {
    # Only failures before the request was sent: an inference may be charged, recorded or slow.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"type.googleapis.com/{_PREVIOUS_HOSTS}"},
        }
    ],
    "host_selection_retry_max_attempts": 5,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
}


def routes(environment: EnvironmentRoutes) -> list[Resource]:
    """The one route configuration of an environment, as a list of one resource."""
    found: list[Resource] = []
    for endpoint in sorted(environment.endpoints, key=lambda each: each.name):
        found += _endpoint_routes(endpoint, environment.smoke_secret)
    return [
        {
            "@type": ROUTE_TYPE,
            "name": ROUTE_CONFIG_NAME,
            "virtual_hosts": [
                {"name": "models", "domains": ["*"], "routes": [*found, *_own_answers()]}
            ],
        }
    ]


def _endpoint_routes(endpoint: EndpointRoute, secret: str) -> list[Resource]:
    reachable = {cluster.release_id for cluster in endpoint.clusters if cluster.addresses}
    found = [
        _smoke(endpoint.name, release, version, secret)
        for release, version in sorted(_known_releases(endpoint).items())
        if secret and release in reachable
    ]
    for version, shares in sorted(_live_versions(endpoint, reachable).items()):
        found.append(_weighted(endpoint.name, f"{endpoint.name}@{version}", shares, version))
    serving = [s for s in endpoint.shares if s.percent > 0 and s.release_id in reachable]
    if serving:
        mirrors = [s for s in endpoint.shares if s.mirror_percent and s.release_id in reachable]
        found.append(_weighted(endpoint.name, endpoint.name, serving, None, mirrors))
    else:
        found.append(
            _answer(
                endpoint.name,
                {"safe_regex": {"regex": _path(endpoint.name)}},
                503,
                {"error": f"endpoint '{endpoint.name}' has no live release"},
            )
        )
    return found


def _known_releases(endpoint: EndpointRoute) -> dict[str, int | None]:
    """Every release with a cluster, and its version if the routes say it."""
    versions: dict[str, int | None] = {c.release_id: None for c in endpoint.clusters}
    versions |= {each.release_id: each.version for each in endpoint.exposed}
    return versions | {each.release_id: each.version for each in endpoint.shares}


def _live_versions(endpoint: EndpointRoute, reachable: set[str]) -> dict[int, list[Share]]:
    """Who answers `/versions/N`. Two releases may be of one version (another configuration of it):
    then those with weight answer, in their proportion, and an exposed one only where none has
    any."""
    live: dict[int, list[Share]] = {}
    for share in endpoint.shares:
        if share.percent > 0 and share.release_id in reachable:
            live.setdefault(share.version, []).append(share)
    for exposed in endpoint.exposed:
        if exposed.release_id in reachable and exposed.version not in live:
            live[exposed.version] = [Share(exposed.release_id, exposed.version, 100)]
    return live


def _path(name: str, version: int | None = None) -> str:
    middle = "" if version is None else f"/versions/{version}"
    return f"/v2/models/{re.escape(name)}{middle}(/ready|/infer)?"


def _weighted(
    endpoint: str,
    name: str,
    shares: Iterable[Share],
    version: int | None,
    mirrors: Iterable[Share] = (),
) -> Resource:
    route: Resource = {
        "weighted_clusters": {"clusters": [_weight(share) for share in shares]},
        "timeout": REQUEST_TIMEOUT,
        "retry_policy": _RETRY,
    }
    policies = [_mirror(share) for share in mirrors]
    if policies:
        route["request_mirror_policies"] = policies
    return {
        "name": name,
        "match": {"safe_regex": {"regex": _path(endpoint, version)}},
        "route": route,
        "request_headers_to_remove": [SMOKE_HEADER, SMOKE_RELEASE_HEADER],
    }


def _weight(share: Share) -> Resource:
    return {
        "name": share.release_id,
        "weight": share.percent,
        "response_headers_to_add": _who_answered(share.release_id, share.version),
    }


def _mirror(share: Share) -> Resource:
    fraction = {"numerator": share.mirror_percent, "denominator": "HUNDRED"}
    return {
        "cluster": share.release_id,
        "runtime_fraction": {"default_value": fraction},
        "disable_shadow_host_suffix_append": True,
    }


def _smoke(endpoint: str, release: str, version: int | None, secret: str) -> Resource:
    # No retry: a smoke inference must tell how it is, and its caller repeats it.
    return {
        "name": f"{endpoint}:smoke:{release}",
        "match": {
            "safe_regex": {"regex": _path(endpoint)},
            "headers": [
                {"name": SMOKE_HEADER, "string_match": {"exact": secret}},
                {"name": SMOKE_RELEASE_HEADER, "string_match": {"exact": release}},
            ],
        },
        "route": {"cluster": release, "timeout": REQUEST_TIMEOUT},
        "request_headers_to_remove": [SMOKE_RELEASE_HEADER],
        # Overwriting is what keeps the secret inside the gateway.
        "request_headers_to_add": [_header(SMOKE_HEADER, "1")],
        "response_headers_to_add": _who_answered(release, version),
    }


def _who_answered(release: str, version: int | None) -> list[Resource]:
    headers = [_header(RELEASE_HEADER, release)]
    if version is not None:
        headers.insert(0, _header(VERSION_HEADER, str(version)))
    return headers


def _own_answers() -> list[Resource]:
    about = {"name": "slipway", "version": "1", "extensions": []}
    return [
        _answer("about", {"path": "/v2"}, 200, about),
        _answer("live", {"path": "/v2/health/live"}, 200, {"live": True}),
        _answer("ready", {"path": "/v2/health/ready"}, 200, {"ready": True}),
        _answer("unknown", {"prefix": "/"}, 404, {"error": "no such model, version or path"}),
    ]


def _answer(name: str, match: Resource, status: int, body: Resource) -> Resource:
    text = json.dumps(body, separators=(",", ":"))
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": text}},
        "response_headers_to_add": [_header("content-type", "application/json")],
    }


def _header(key: str, value: str) -> Resource:
    return {
        "header": {"key": key, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
