"""Who gateways are told to admit; that Envoy does what is meant is a contract test's."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.domain import routing_access as access
from deployments.domain.routing import EndpointRoute, Grant, Share, clusters
from tests.unit.deployments.test_routing import (
    INFER,
    A,
    B,
    environment,
    every_route,
    route_for,
    weights,
)

ALICE = Grant("key_alice")
CHARLIE = Grant("key_charlie", requests_per_minute=30)
MALLORY = Grant("key_mallory", exhausted=True)
ALL_A = (Share("rel_A", 1, 100),)
CLOSED = EndpointRoute("tumour", ALL_A, (), (A,), keys=(ALICE, CHARLIE, MALLORY))
OPEN = EndpointRoute("weather", (Share("rel_B", 2, 100),), (), (B,), is_open=True)


def filters(route: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = route["typed_per_filter_config"]
    return found


def admitted(route: dict[str, Any]) -> set[str] | None:
    """The keys that a route takes; None if it takes everybody."""
    rbac = filters(route)[access.ACCESS].get("rbac")
    if rbac is None:
        return None
    refusal = rbac["matcher"]["on_no_match"]["action"]["typed_config"]
    assert refusal["action"] == "DENY"
    tree = rbac["matcher"].get("matcher_tree")
    return set(tree["exact_match_map"]["map"]) if tree else set()


def test_a_closed_endpoint_takes_its_keys_on_every_path_and_over_both_transports() -> None:
    given = environment(CLOSED)
    everybody = {"key_alice", "key_charlie", "key_mallory"}
    for path in ("", "/infer", "/ready", "/versions/1/infer", "/versions/9", "/else"):
        route = route_for(given, f"/v2/models/tumour{path}")
        assert admitted(route) == everybody
        assert filters(route)[access.KEYS]["requirement_name"] == access.A_KEY
    for version in ({}, {"x_slipway_version": "1"}, {"x_slipway_version": "9"}):
        assert admitted(route_for(given, INFER, x_slipway_model="tumour", **version)) == everybody


def test_an_endpoint_without_keys_admits_nobody() -> None:
    given = environment(EndpointRoute("tumour", ALL_A, (), (A,)))
    assert admitted(route_for(given, "/v2/models/tumour/infer")) == set()


def test_an_open_endpoint_admits_everybody_and_asks_for_nothing() -> None:
    given = environment(OPEN, CLOSED)
    route = route_for(given, "/v2/models/weather/infer")
    assert admitted(route) is None
    assert access.KEYS not in filters(route)
    assert admitted(route_for(given, INFER, x_slipway_model="weather")) is None
    assert admitted(route_for(given, "/v2/models/tumour/infer")) is not None


@pytest.mark.parametrize(
    ("endpoints", "needed"), [((CLOSED,), access.A_KEY), ((CLOSED, OPEN), access.A_KEY_IF_ANY)]
)
def test_a_message_is_only_read_for_somebody_with_a_key_unless_an_endpoint_is_open(
    endpoints: tuple[EndpointRoute, ...], needed: str
) -> None:
    route = route_for(environment(*endpoints), INFER)
    assert filters(route)[access.KEYS]["requirement_name"] == needed


def test_every_route_but_those_whose_message_is_read_says_who_is_admitted() -> None:
    """Where a route says nothing, the gateway admits nobody."""
    silent = {
        route["name"]
        for route in every_route(environment(CLOSED, OPEN))
        if access.ACCESS not in filters(route)
    }
    assert silent == {"ModelInfer", "ModelMetadata", "ModelReady"}


def test_a_limited_key_has_a_bucket_of_its_own_and_no_other_key_has_one() -> None:
    route = route_for(environment(CLOSED), "/v2/models/tumour/infer")
    limit = filters(route)[access.RATE]
    (bucket,) = limit["descriptors"]
    assert bucket["entries"] == [{"key": "key", "value": "key_charlie"}]
    assert bucket["token_bucket"] == {
        "max_tokens": 30,
        "tokens_per_fill": 30,
        "fill_interval": "60s",
    }
    assert limit["token_bucket"]["max_tokens"] == access.UNLIMITED


def test_an_exhausted_key_is_refused_until_it_is_told_otherwise() -> None:
    route = route_for(environment(CLOSED), "/v2/models/tumour/infer")
    limit = filters(route)[access.QUOTA]
    (bucket,) = limit["descriptors"]
    assert bucket["entries"] == [{"key": "key", "value": "key_mallory"}]
    (taken,) = limit["rate_limits"]
    assert taken["hits_addend"]["number"] > bucket["token_bucket"]["max_tokens"]
    (told,) = limit["response_headers_to_add"]
    assert told["header"] == {"key": "retry-after", "value": "midnight"}


def test_without_limits_there_is_nothing_to_count() -> None:
    endpoint = EndpointRoute("tumour", ALL_A, (), (A,), keys=(ALICE,))
    found = filters(route_for(environment(endpoint), "/v2/models/tumour/infer"))
    assert found.keys().isdisjoint({access.RATE, access.QUOTA})


def test_a_request_may_be_as_large_as_its_endpoint_takes_and_a_message_as_the_largest() -> None:
    small = EndpointRoute("tumour", ALL_A, (), (A,), max_body_bytes=1000)
    large = EndpointRoute("weather", ALL_A, (), (A,), max_body_bytes=9000)
    given = environment(small, large)

    def most(route: dict[str, Any], name: str) -> int:
        return int(filters(route)[name]["buffer"]["max_request_bytes"])

    assert most(route_for(given, "/v2/models/tumour/infer"), access.BODY) == 1000
    assert most(route_for(given, INFER), access.GRPC_BODY) == 9000
    told = route_for(given, INFER, x_slipway_model="tumour")["metadata"]["filter_metadata"]
    assert told == {access.MODEL: {"most_bytes": 1000}}


def test_a_smoke_inference_needs_no_key() -> None:
    given = environment(CLOSED)
    route = route_for(
        given, "/v2/models/tumour/infer", slipway_smoke="secret", slipway_release="rel_A"
    )
    assert route["route"]["cluster"] == "rel_A"
    assert admitted(route) is None
    assert access.KEYS not in filters(route)


def test_mirrored_requests_do_not_count_for_a_key() -> None:
    endpoint = EndpointRoute(
        "tumour", (*ALL_A, Share("rel_B", 2, 0, mirror_percent=50)), (), (A, B), keys=(ALICE,)
    )
    for route in (
        route_for(environment(endpoint), "/v2/models/tumour/infer"),
        route_for(environment(endpoint), INFER, x_slipway_model="tumour"),
    ):
        (mirror,) = route["route"]["request_mirror_policies"]
        assert mirror["request_headers_mutations"] == [{"remove": "x-slipway-key"}]


def test_both_transports_have_the_same_weights_and_versions() -> None:
    endpoint = EndpointRoute(
        "tumour", (Share("rel_A", 1, 70), Share("rel_B", 2, 30)), (), (A, B), keys=(ALICE,)
    )
    given = environment(endpoint)
    over_grpc = route_for(given, INFER, x_slipway_model="tumour")
    assert weights(over_grpc) == {"rel_A:grpc": 70, "rel_B:grpc": 30}
    second = route_for(given, INFER, x_slipway_model="tumour", x_slipway_version="2")
    assert weights(second) == {"rel_B:grpc": 30}
    unknown = route_for(given, INFER, x_slipway_model="tumour", x_slipway_version="3")
    assert unknown["direct_response"]["status"] == 404
    assert unknown["response_headers_to_add"][0]["header"] == {"key": "grpc-status", "value": "5"}


def test_a_release_that_is_not_reached_over_grpc_gets_nothing_over_grpc() -> None:
    only_http = type(B)("rel_B", tuple(each._replace(grpc_port=None) for each in B.addresses), 2)
    endpoint = EndpointRoute(
        "tumour", (Share("rel_A", 1, 70), Share("rel_B", 2, 30)), (), (A, only_http)
    )
    given = environment(endpoint)
    assert "rel_B:grpc" not in {each["name"] for each in clusters(given)}
    assert weights(route_for(given, INFER, x_slipway_model="tumour")) == {"rel_A:grpc": 70}
    assert weights(route_for(given, "/v2/models/tumour/infer")) == {"rel_A": 70, "rel_B": 30}


def test_calls_about_no_model_go_to_whoever_serves_and_not_without_end() -> None:
    given = environment(CLOSED)
    for path in (
        "/inference.GRPCInferenceService/ServerLive",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ):
        route = route_for(given, path)
        assert route["route"]["cluster"] == "server:grpc"
        assert admitted(route) is None
        assert filters(route)[access.RATE]["token_bucket"]["tokens_per_fill"] < 1000
    nothing = route_for(environment(), "/grpc.health.v1.Health/Check")
    assert nothing["direct_response"]["status"] == 503


def test_replicas_are_who_they_must_be_and_gateways_show_who_they_are() -> None:
    over_http, over_grpc, _ = clusters(environment(CLOSED))
    for cluster in (over_http, over_grpc):
        tls = cluster["transport_socket"]["typed_config"]["common_tls_context"]
        (name,) = tls["combined_validation_context"]["default_validation_context"][
            "match_typed_subject_alt_names"
        ]
        assert name == {
            "san_type": "URI",
            "matcher": {"prefix": "spiffe://slipway/environment/staging/release/rel_A/"},
        }
        assert tls["tls_certificate_sds_secret_configs"]
    (endpoint,) = over_grpc["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"]["port_value"] == 9101
    assert endpoint["endpoint"]["health_check_config"] == {"port_value": 9001}
