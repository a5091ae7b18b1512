"""Routes: which release answers a path or a gRPC message, and what the gateway answers by itself.

Envoy finds an endpoint's routes in a tree, so its cost does not grow with the endpoints. Inside an
endpoint the order matters, because the first match wins: smoke routes (they need the secret), then
the versions of live releases, then the weighted route. What lies below an endpoint's path is the
replica's to know. Everything unknown ends in one 404.

A gRPC call says in its message which model it means. It comes here twice: first to be read, then
with the name in a header that nobody outside can set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from deployments.domain import routing_access as access
from deployments.domain.routing_actions import (
    GRPC,
    HTTP,
    Transport,
    forward,
    known_releases,
    live_versions,
    mirrors,
    serving,
    to_one,
)
from deployments.domain.routing_clusters import GRPC_SERVER, serving_over_grpc
from deployments.domain.routing_headers import (
    MODEL_HEADER,
    MODEL_VERSION_HEADER,
    NEVER_UPSTREAM,
    SMOKE_HEADER,
    SMOKE_MARKER,
    SMOKE_RELEASE_HEADER,
)
from deployments.domain.routing_inputs import EndpointRoute, EnvironmentRoutes
from deployments.domain.routing_shapes import Resource, extension, header, of_header

ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
ROUTE_CONFIG_NAME = "models"
GRPC_SERVICE = "/inference.GRPCInferenceService/"
_OF_A_MODEL = ("ModelInfer", "ModelMetadata", "ModelReady")
_OF_THE_SERVER = ("ServerLive", "ServerReady", "ServerMetadata")
# The services of gRPC itself.
_ABOUT_THE_SERVER = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
)
_SERVER_CALLS_PER_SECOND = 50
_ROUTES = "envoy.config.route.v3.RouteList"
_GRPC_NOT_FOUND = header("grpc-status", "5")


def routes(environment: EnvironmentRoutes) -> list[Resource]:
    """The one route configuration of an environment, as a list of one resource."""
    endpoints = sorted(environment.endpoints, key=lambda each: each.name)
    server = _to_any_server(environment)
    by_path = {_path(each): _first_of(_over_http(each, environment)) for each in endpoints} | {
        prefix: _first_of([server]) for prefix in _ABOUT_THE_SERVER
    }
    by_path[GRPC_SERVICE] = _by_message(environment, endpoints, server)
    tree = _tree(":path", "prefix_match_map", by_path, _first_of(_own_answers()))
    return [
        {
            "@type": ROUTE_TYPE,
            "name": ROUTE_CONFIG_NAME,
            "request_headers_to_remove": list(NEVER_UPSTREAM),
            "virtual_hosts": [{"name": "models", "domains": ["*"], "matcher": tree}],
        }
    ]


def _path(endpoint: EndpointRoute) -> str:
    return f"/v2/models/{endpoint.name}"


def _over_http(endpoint: EndpointRoute, environment: EnvironmentRoutes) -> list[Resource]:
    path = _path(endpoint)
    filters = access.of_endpoint(endpoint, environment.quota_resets_at)
    found = _smoke_routes(endpoint, environment.smoke_secret)
    for version, shares in live_versions(endpoint, HTTP):
        match = {"path_separated_prefix": f"{path}/versions/{version}"}
        name = f"{endpoint.name}@{version}"
        found.append(_route(name, match, forward(shares, HTTP), filters))
    others = {"path_separated_prefix": f"{path}/versions"}
    sentence = f"endpoint '{endpoint.name}' has no such live version"
    found.append(_answer(f"{endpoint.name}@", others, 404, sentence, filters))
    found.append(_weighted(endpoint, HTTP, {"path_separated_prefix": path}, filters))
    return found


def _over_grpc(endpoint: EndpointRoute, environment: EnvironmentRoutes) -> list[Resource]:
    filters = access.of_endpoint_by_message(endpoint, environment.quota_resets_at)
    found = []
    for version, shares in live_versions(endpoint, GRPC):
        match = _with({"exact": str(version)})
        name = f"{endpoint.name}@{version}:grpc"
        found.append(_route(name, match, forward(shares, GRPC), filters))
    others = {"prefix": "/", "headers": [{"name": MODEL_VERSION_HEADER, "present_match": True}]}
    sentence = f"endpoint '{endpoint.name}' has no such live version"
    answer = _answer(f"{endpoint.name}@:grpc", others, 404, sentence, filters)
    found.append(answer | {"response_headers_to_add": [_GRPC_NOT_FOUND]})
    found.append(_weighted(endpoint, GRPC, {"prefix": "/"}, filters))
    # The message was taken in before its endpoint was known: the script that read it compares.
    told = {"filter_metadata": {access.MODEL: {"most_bytes": endpoint.max_body_bytes}}}
    return [route | {"metadata": told} for route in found]


def _with(version: Resource) -> Resource:
    return {
        "prefix": "/",
        "headers": [{"name": MODEL_VERSION_HEADER, "string_match": version}],
    }


def _weighted(
    endpoint: EndpointRoute, transport: Transport, match: Resource, filters: Resource
) -> Resource:
    shares = serving(endpoint, transport)
    name = endpoint.name + transport.suffix
    if not shares:
        sentence = f"endpoint '{endpoint.name}' has no live release"
        return _answer(name, match, 503, sentence, filters)
    return _route(name, match, forward(shares, transport, mirrors(endpoint, transport)), filters)


def _smoke_routes(endpoint: EndpointRoute, secret: str) -> list[Resource]:
    """For releases with a cluster, whether they have traffic or not. No key: it is the control
    plane that asks. No retry: a smoke inference must tell how it is, and its caller repeats it."""
    if not secret:
        # An exact match of nothing would match an empty header.
        return []
    found = []
    filters = access.for_everybody() | {access.BODY: access.body(endpoint.max_body_bytes)}
    for release in known_releases(endpoint, HTTP):
        match = {
            "path_separated_prefix": _path(endpoint),
            "headers": [
                {"name": SMOKE_HEADER, "string_match": {"exact": secret}},
                {"name": SMOKE_RELEASE_HEADER, "string_match": {"exact": release}},
            ],
        }
        route = _route(f"{endpoint.name}:smoke:{release}", match, to_one(release), filters)
        found.append(route | {"request_headers_to_add": [header(SMOKE_MARKER, "1")]})
    return found


def _by_message(
    environment: EnvironmentRoutes, endpoints: list[EndpointRoute], server: Resource
) -> Resource:
    """Calls whose model is known, and before that those whose message must be read."""
    largest = max((each.max_body_bytes for each in endpoints), default=1)
    filters = access.of_message(
        key_needed=not any(each.is_open for each in endpoints), max_body_bytes=largest
    )
    unknown = {"prefix": "/", "headers": [{"name": MODEL_HEADER, "present_match": True}]}
    answer = _answer("unknown-model", unknown, 404, "no such model", access.for_everybody())
    first = [answer | {"response_headers_to_add": [_GRPC_NOT_FOUND]}]
    for method in _OF_A_MODEL:
        # The answer is only given if the script failed: then no model was found.
        match = {"path": GRPC_SERVICE + method, "grpc": {}}
        first.append(_answer(method, match, 500, "the message was not read", filters))
    first += [
        server | {"match": {"path": GRPC_SERVICE + method, "grpc": {}}} for method in _OF_THE_SERVER
    ]
    by_model = {each.name: _first_of(_over_grpc(each, environment)) for each in endpoints}
    if not by_model:
        return _first_of(first)
    return {"matcher": _tree(MODEL_HEADER, "exact_match_map", by_model, _first_of(first))}


def _to_any_server(environment: EnvironmentRoutes) -> Resource:
    """For calls about no model. Without a key, so rarely."""
    match = {"prefix": "/", "grpc": {}}
    if not serving_over_grpc(environment):
        return _answer("server", match, 503, "nothing is served", access.for_everybody())
    filters = access.at_most(_SERVER_CALLS_PER_SECOND)
    return _route("server", match, {"cluster": GRPC_SERVER, "timeout": "30s"}, filters)


def _own_answers() -> list[Resource]:
    about = {"name": "slipway", "version": "1", "extensions": []}
    return [
        _json("about", "/v2", about),
        _json("live", "/v2/health/live", {"live": True}),
        _json("ready", "/v2/health/ready", {"ready": True}),
    ]


def _unknown() -> Resource:
    sentence = "no such model, version or path"
    return _answer("unknown", {"prefix": "/"}, 404, sentence, access.for_everybody())


def _route(name: str, match: Resource, action: Resource, filters: Resource) -> Resource:
    return {"name": name, "match": match, "route": action, "typed_per_filter_config": filters}


def _answer(name: str, match: Resource, status: int, sentence: str, filters: Resource) -> Resource:
    """A refusal. The launcher's bootstrap makes JSON of the sentence, or a gRPC status."""
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": sentence}},
        "typed_per_filter_config": filters,
    }


def _json(name: str, path: str, content: Mapping[str, object]) -> Resource:
    text = json.dumps(content, separators=(",", ":"))
    answer = _answer(name, {"path": path}, 200, text, access.for_everybody())
    return answer | {"response_headers_to_add": [header("content-type", "application/json")]}


def _first_of(found: Iterable[Resource]) -> Resource:
    """The first of these routes that matches; each list ends in the 404."""
    return {"action": extension("routes", _ROUTES, routes=[*found, _unknown()])}


def _tree(of: str, kind: str, found: Mapping[str, Resource], otherwise: Resource) -> Resource:
    return {
        "matcher_tree": {"input": of_header(of), kind: {"map": dict(found)}},
        "on_no_match": otherwise,
    }
