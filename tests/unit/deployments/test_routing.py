"""What gateways are told, without a gateway; that Envoy does what is meant is a contract test's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.routing import (
    CLUSTER_TYPE,
    ROUTE_TYPE,
    Address,
    EndpointRoute,
    EnvironmentRoutes,
    ExposedRelease,
    ReleaseCluster,
    Share,
    clusters,
    clusters_named_by,
    content_hash,
    derive,
    routes,
)

A = ReleaseCluster("rel_A", (Address("127.0.0.1", 9001, 9101),), 1)
B = ReleaseCluster("rel_B", (Address("127.0.0.1", 9002, 9102), Address("127.0.0.1", 9003, 9103)), 2)
INFER = "/inference.GRPCInferenceService/ModelInfer"


def environment(*endpoints: EndpointRoute, secret: str = "secret") -> EnvironmentRoutes:
    return EnvironmentRoutes("staging", secret, endpoints, "midnight")


def route_for(routes_of: EnvironmentRoutes, path: str, **headers: str) -> dict[str, Any]:
    """The first route that matches, as Envoy chooses it."""
    told = {name.replace("_", "-"): value for name, value in headers.items()} | {":path": path}
    on_match = {"matcher": routes(routes_of)[0]["virtual_hosts"][0]["matcher"]}
    while "matcher" in on_match:
        on_match = branch(on_match["matcher"], told)
    for route in on_match["action"]["typed_config"]["routes"]:
        if matches(route["match"], told):
            found: dict[str, Any] = route
            return found
    raise AssertionError(f"no route for {path}")


def branch(matcher: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
    tree = matcher["matcher_tree"]
    value = told.get(tree["input"]["typed_config"]["header_name"], "")
    found: dict[str, Any] | None
    if "exact_match_map" in tree:
        found = tree["exact_match_map"]["map"].get(value)
    else:
        prefixes = tree["prefix_match_map"]["map"]
        longest = max((each for each in prefixes if value.startswith(each)), key=len, default="")
        found = prefixes.get(longest)
    return found or matcher["on_no_match"]


def matches(match: dict[str, Any], told: dict[str, str]) -> bool:
    for wanted in match.get("headers", []):
        value = told.get(wanted["name"])
        if value is None or ("string_match" in wanted and value != wanted["string_match"]["exact"]):
            return False
    path = told[":path"]
    if "path_separated_prefix" in match:
        prefix = match["path_separated_prefix"]
        return path == prefix or path.startswith(f"{prefix}/")
    return path == match["path"] if "path" in match else path.startswith(match["prefix"])


def every_route(routes_of: EnvironmentRoutes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    pending: list[Any] = routes(routes_of)
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            found += [each] if "match" in each else []
            pending += each.values()
        elif isinstance(each, list):
            pending += each
    return found


def weights(route: dict[str, Any]) -> dict[str, int]:
    return {c["name"]: c["weight"] for c in route["route"]["weighted_clusters"]["clusters"]}


SPLIT = EndpointRoute(
    name="tumour",
    shares=(Share("rel_A", 1, 70), Share("rel_B", 2, 30)),
    clusters=(A, B),
)


@pytest.mark.parametrize("suffix", ["", "/infer", "/ready"])
def test_traffic_is_split_by_weight(suffix: str) -> None:
    route = route_for(environment(SPLIT), f"/v2/models/tumour{suffix}")
    assert weights(route) == {"rel_A": 70, "rel_B": 30}


def test_each_cluster_says_its_version_and_release_whatever_a_replica_says() -> None:
    for cluster in clusters(environment(SPLIT)):
        if cluster["name"] == "server:grpc":
            continue
        (options,) = cluster["typed_extension_protocol_options"].values()
        mutations = options["http_filters"][0]["typed_config"]["mutations"]["response_mutations"]
        said = {
            each["append"]["header"]["key"]: (
                each["append"]["header"]["value"],
                each["append"]["append_action"],
            )
            for each in mutations
        }
        release = cluster["name"].removesuffix(":grpc")
        over = "OVERWRITE_IF_EXISTS_OR_ADD"
        version = {"rel_A": "1", "rel_B": "2"}[release]
        assert said == {"x-model-version": (version, over), "x-release": (release, over)}


def test_a_cluster_is_the_same_before_and_after_it_gets_traffic() -> None:
    """Or it would be replaced in the moment of the switch."""
    before = EndpointRoute("tumour", (Share("rel_A", 1, 100),), (), (A, B))
    after = EndpointRoute("tumour", (Share("rel_B", 2, 100),), (), (A, B))
    found = [
        [c for c in clusters(environment(each)) if c["name"] != "server:grpc"]
        for each in (before, after)
    ]
    assert found[0] == found[1]


def test_a_version_is_live_with_weight_or_when_exposed_and_never_else() -> None:
    endpoint = EndpointRoute(
        name="tumour",
        shares=(Share("rel_A", 1, 100), Share("rel_B", 2, 0, mirror_percent=10)),
        exposed=(ExposedRelease("rel_C", 3),),
        clusters=(A, B, ReleaseCluster("rel_C", A.addresses, 3)),
    )
    given = environment(endpoint)
    assert weights(route_for(given, "/v2/models/tumour/versions/1/infer")) == {"rel_A": 100}
    assert weights(route_for(given, "/v2/models/tumour/versions/3/infer")) == {"rel_C": 100}
    for hidden in ("2", "4", "01", "1x"):
        route = route_for(given, f"/v2/models/tumour/versions/{hidden}/infer")
        assert route["direct_response"]["status"] == 404


def test_two_releases_of_one_version_share_its_path() -> None:
    endpoint = EndpointRoute(
        name="tumour", shares=(Share("rel_A", 1, 70), Share("rel_B", 1, 30)), clusters=(A, B)
    )
    route = route_for(environment(endpoint), "/v2/models/tumour/versions/1/infer")
    assert weights(route) == {"rel_A": 70, "rel_B": 30}


def test_mirrored_traffic_takes_nothing_from_the_answering_releases() -> None:
    endpoint = EndpointRoute(
        name="tumour",
        shares=(Share("rel_A", 1, 100), Share("rel_B", 2, 0, mirror_percent=25)),
        clusters=(A, B),
    )
    route = route_for(environment(endpoint), "/v2/models/tumour/infer")
    assert weights(route) == {"rel_A": 100}
    (mirror,) = route["route"]["request_mirror_policies"]
    assert mirror["cluster"] == "rel_B"
    assert mirror["runtime_fraction"]["default_value"]["numerator"] == 25


def test_a_release_without_addresses_has_no_cluster_and_gets_nothing() -> None:
    empty = ReleaseCluster("rel_B", ())
    given = environment(EndpointRoute("tumour", SPLIT.shares, (), (A, empty)))
    assert [c["name"] for c in clusters(given)] == ["rel_A", "rel_A:grpc", "server:grpc"]
    assert weights(route_for(given, "/v2/models/tumour/infer")) == {"rel_A": 70}
    assert clusters_named_by(routes(given)) == {"rel_A", "rel_A:grpc", "server:grpc"}


def test_an_endpoint_without_a_live_release_says_so() -> None:
    answer = route_for(environment(EndpointRoute("tumour")), "/v2/models/tumour/infer")
    assert answer["direct_response"]["status"] == 503
    assert "no live release" in answer["direct_response"]["body"]["inline_string"]


def test_a_smoke_inference_reaches_a_release_without_weight() -> None:
    given = environment(EndpointRoute("tumour", (Share("rel_A", 1, 100),), (), (A, B)))
    route = route_for(
        given, "/v2/models/tumour/infer", slipway_smoke="secret", slipway_release="rel_B"
    )
    assert route["route"]["cluster"] == "rel_B"
    assert "retry_policy" not in route["route"]
    wrong = route_for(
        given, "/v2/models/tumour/infer", slipway_smoke="other", slipway_release="rel_B"
    )
    assert weights(wrong) == {"rel_A": 100}


def test_nothing_that_is_secret_or_said_by_a_client_about_itself_goes_upstream() -> None:
    (config,) = routes(environment(SPLIT))
    assert {
        *("authorization", "x-api-key", "cookie"),
        *("slipway-smoke", "slipway-release", "x-slipway-model", "x-slipway-version"),
    } <= set(config["request_headers_to_remove"])
    for route in every_route(environment(SPLIT)):
        added = {
            h["header"]["key"]: h["header"]["value"]
            for h in route.get("request_headers_to_add", [])
        }
        assert added in ({}, {"x-slipway-smoke": "1"})


def test_without_a_secret_there_is_no_smoke_route() -> None:
    """An exact match of nothing would match an empty header."""
    named = {
        header["name"]
        for route in every_route(environment(SPLIT, secret=""))
        for header in route["match"].get("headers", [])
    }
    assert named == {"x-slipway-model", "x-slipway-version"}


def test_only_failures_to_connect_are_retried() -> None:
    policy = route_for(environment(SPLIT), "/v2/models/tumour/infer")["route"]["retry_policy"]
    assert set(policy["retry_on"].split(",")) == {
        "connect-failure",
        "refused-stream",
        "reset-before-request",
    }
    assert policy["num_retries"] == 2


@pytest.mark.parametrize("other", ["axb", "a.bc", "a.", "a", "a.b%2f"])
def test_a_name_is_neither_a_pattern_nor_a_beginning(other: str) -> None:
    given = environment(
        EndpointRoute("a.b", (Share("rel_A", 1, 100),), (), (A,)),
        EndpointRoute("a.b.c", (Share("rel_B", 2, 100),), (), (B,)),
    )
    assert weights(route_for(given, "/v2/models/a.b/infer")) == {"rel_A": 100}
    assert weights(route_for(given, "/v2/models/a.b.c/infer")) == {"rel_B": 100}
    assert route_for(given, f"/v2/models/{other}/infer")["direct_response"]["status"] == 404
    unknown = route_for(given, INFER, x_slipway_model=other)
    assert unknown["direct_response"]["status"] == 404


def test_hosts_by_name_are_resolved_and_hosts_by_number_are_not() -> None:
    named = ReleaseCluster("rel_N", (Address("replica-1", 8000),))
    kinds = {
        c["name"]: c["type"] for c in clusters(environment(EndpointRoute("e", clusters=(A, named))))
    }
    assert kinds == {"rel_A": "STATIC", "rel_A:grpc": "STATIC", "rel_N": "STRICT_DNS"}


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_share_is_a_percentage(percent: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        Share("rel_A", 1, percent)


@given(st.randoms())
def test_the_order_of_the_input_does_not_show(random: Any) -> None:
    endpoints = [
        SPLIT,
        EndpointRoute(
            "other", (Share("rel_C", 1, 100),), (), (ReleaseCluster("rel_C", A.addresses, 3),)
        ),
    ]
    addresses = list(B.addresses)
    random.shuffle(endpoints)
    random.shuffle(addresses)
    found = [A, ReleaseCluster("rel_B", tuple(addresses), 2)]
    random.shuffle(found)
    shuffled = [
        EndpointRoute(e.name, e.shares, e.exposed, tuple(found)) if e is SPLIT else e
        for e in endpoints
    ]
    expected = derive(environment(SPLIT, *[e for e in endpoints if e is not SPLIT]))
    got = derive(environment(*shuffled))
    for type_url in (CLUSTER_TYPE, ROUTE_TYPE):
        assert content_hash(got[type_url]) == content_hash(expected[type_url])


def test_a_hash_sees_every_change_and_no_order_of_keys() -> None:
    assert content_hash([{"a": 1, "b": 2}]) == content_hash([{"b": 2, "a": 1}])
    assert content_hash([{"a": 1}]) != content_hash([{"a": 2}])
    assert re.fullmatch("[0-9a-f]{64}", content_hash([]))
