"""What gateways are told, without a gateway; that Envoy does what is meant is a contract test's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.routing import (
    CLUSTER_TYPE,
    ROUTE_TYPE,
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

A = ReleaseCluster("rel_A", (("127.0.0.1", 9001),))
B = ReleaseCluster("rel_B", (("127.0.0.1", 9002), ("127.0.0.1", 9003)))


def environment(*endpoints: EndpointRoute, secret: str = "secret") -> EnvironmentRoutes:
    return EnvironmentRoutes("staging", secret, endpoints)


def route_for(routes_of: EnvironmentRoutes, path: str, **headers: str) -> dict[str, Any]:
    """The first route that matches, as Envoy chooses it."""
    for route in routes(routes_of)[0]["virtual_hosts"][0]["routes"]:
        match = route["match"]
        wanted = {
            h["name"].replace("-", "_"): h["string_match"]["exact"]
            for h in match.get("headers", [])
        }
        if any(headers.get(name) != value for name, value in wanted.items()):
            continue
        pattern = match.get("safe_regex", {}).get("regex")
        if (
            (pattern and re.fullmatch(pattern, path))
            or match.get("path") == path
            or ("prefix" in match and path.startswith(match["prefix"]))
        ):
            return route
    raise AssertionError(f"no route for {path}")


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


def test_each_cluster_names_its_version_and_release() -> None:
    route = route_for(environment(SPLIT), "/v2/models/tumour/infer")
    added = {
        cluster["name"]: {
            h["header"]["key"]: (h["header"]["value"], h["append_action"])
            for h in cluster["response_headers_to_add"]
        }
        for cluster in route["route"]["weighted_clusters"]["clusters"]
    }
    over = "OVERWRITE_IF_EXISTS_OR_ADD"
    assert added["rel_B"] == {"x-model-version": ("2", over), "x-release": ("rel_B", over)}


def test_a_version_is_live_with_weight_or_when_exposed_and_never_else() -> None:
    endpoint = EndpointRoute(
        name="tumour",
        shares=(Share("rel_A", 1, 100), Share("rel_B", 2, 0, mirror_percent=10)),
        exposed=(ExposedRelease("rel_C", 3),),
        clusters=(A, B, ReleaseCluster("rel_C", A.addresses)),
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
    assert [c["name"] for c in clusters(given)] == ["rel_A"]
    assert weights(route_for(given, "/v2/models/tumour/infer")) == {"rel_A": 70}
    assert clusters_named_by(routes(given)) == {"rel_A"}


def test_an_endpoint_without_a_live_release_says_so() -> None:
    answer = route_for(environment(EndpointRoute("tumour")), "/v2/models/tumour/infer")
    assert answer["direct_response"]["status"] == 503
    assert list(json.loads(answer["direct_response"]["body"]["inline_string"])) == ["error"]


def test_a_smoke_inference_reaches_a_release_without_weight() -> None:
    given = environment(EndpointRoute("tumour", (Share("rel_A", 1, 100),), (), (A, B)))
    route = route_for(
        given, "/v2/models/tumour/infer", x_slipway_smoke="secret", x_slipway_release="rel_B"
    )
    assert route["route"]["cluster"] == "rel_B"
    assert "retry_policy" not in route["route"]
    wrong = route_for(
        given, "/v2/models/tumour/infer", x_slipway_smoke="other", x_slipway_release="rel_B"
    )
    assert weights(wrong) == {"rel_A": 100}


def test_no_route_lets_the_secret_or_the_release_header_upstream() -> None:
    every = routes(environment(SPLIT, EndpointRoute("else", SPLIT.shares, (), (A, B))))
    for route in every[0]["virtual_hosts"][0]["routes"]:
        if "route" not in route:
            continue
        removed = set(route["request_headers_to_remove"])
        set_anew = {
            h["header"]["key"]: h["header"]["value"]
            for h in route.get("request_headers_to_add", [])
        }
        assert "x-slipway-release" in removed
        assert "x-slipway-smoke" in removed or set_anew == {"x-slipway-smoke": "1"}


def test_without_a_secret_there_is_no_smoke_route() -> None:
    """An exact match of nothing would match an empty header."""
    every = routes(environment(SPLIT, secret=""))[0]["virtual_hosts"][0]["routes"]
    assert not [route for route in every if "headers" in route["match"]]


def test_only_failures_to_connect_are_retried() -> None:
    policy = route_for(environment(SPLIT), "/v2/models/tumour/infer")["route"]["retry_policy"]
    assert set(policy["retry_on"].split(",")) == {
        "connect-failure",
        "refused-stream",
        "reset-before-request",
    }
    assert policy["num_retries"] == 2


def test_a_name_with_dots_is_not_a_pattern() -> None:
    given = environment(EndpointRoute("a.b", (Share("rel_A", 1, 100),), (), (A,)))
    assert weights(route_for(given, "/v2/models/a.b/infer"))
    assert route_for(given, "/v2/models/axb/infer")["direct_response"]["status"] == 404


def test_hosts_by_name_are_resolved_and_hosts_by_number_are_not() -> None:
    named = ReleaseCluster("rel_N", (("replica-1", 8000),))
    kinds = {
        c["name"]: c["type"] for c in clusters(environment(EndpointRoute("e", clusters=(A, named))))
    }
    assert kinds == {"rel_A": "STATIC", "rel_N": "STRICT_DNS"}


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_share_is_a_percentage(percent: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        Share("rel_A", 1, percent)


@given(st.randoms())
def test_the_order_of_the_input_does_not_show(random: Any) -> None:
    endpoints = [
        SPLIT,
        EndpointRoute(
            "other", (Share("rel_C", 1, 100),), (), (ReleaseCluster("rel_C", A.addresses),)
        ),
    ]
    addresses = list(B.addresses)
    random.shuffle(endpoints)
    random.shuffle(addresses)
    found = [A, ReleaseCluster("rel_B", tuple(addresses))]
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
