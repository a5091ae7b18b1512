"""The exact resources, so that a change of them is seen in review; and Envoy takes each of them.

`SLIPWAY_UPDATE_GOLDENS=1` writes the files anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deployments.adapters.gateway_validate import UNKNOWN, explain_rejection
from deployments.domain.routing import (
    CLUSTER_TYPE,
    Address,
    EndpointRoute,
    EnvironmentRoutes,
    ExposedRelease,
    Grant,
    ReleaseCluster,
    Share,
    derive,
)

GOLDENS = Path(__file__).parent / "goldens"
BLUE = ReleaseCluster("rel_01J0000000000000000000B1VE", (Address("127.0.0.1", 9001, 9101),), 1)
GREEN = ReleaseCluster(
    "rel_01J0000000000000000000GREE",
    (Address("127.0.0.1", 9002, 9102), Address("127.0.0.1", 9003)),
    2,
)
ALICE = Grant("key_01J0000000000000000000A11C")
BOUNDED = Grant("key_01J0000000000000000000BVND", requests_per_minute=600)
USED_UP = Grant("key_01J0000000000000000000DVSE", exhausted=True)
ALL_BLUE = (Share(BLUE.release_id, 1, 100),)

CASES = {
    "empty": (),
    "one-release": (EndpointRoute("tumour", ALL_BLUE, (), (BLUE,), keys=(ALICE,)),),
    "cluster-added": (EndpointRoute("tumour", ALL_BLUE, (), (BLUE, GREEN), keys=(ALICE,)),),
    "canary-exposed-and-mirrored": (
        EndpointRoute(
            "tumour",
            (Share(BLUE.release_id, 1, 90), Share(GREEN.release_id, 2, 10, mirror_percent=50)),
            (ExposedRelease(GREEN.release_id, 2),),
            (BLUE, GREEN),
            keys=(ALICE, BOUNDED, USED_UP),
        ),
    ),
    "nothing-live": (EndpointRoute("tumour", ALL_BLUE),),
    "open-and-closed": (
        EndpointRoute("tumour", ALL_BLUE, (), (BLUE,)),
        EndpointRoute("weather", (Share(GREEN.release_id, 2, 100),), (), (GREEN,), True, (), 1024),
    ),
}
MIDNIGHT = "Sat, 21 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize("name", CASES)
def test_the_resources_are_the_recorded_ones(name: str) -> None:
    derived = derive(EnvironmentRoutes("staging", "the-smoke-secret", CASES[name], MIDNIGHT))
    found = json.dumps(derived, indent=1, sort_keys=True) + "\n"
    golden = GOLDENS / f"{name}.json"
    if os.environ.get("SLIPWAY_UPDATE_GOLDENS") == "1":
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.needs("envoy")
@pytest.mark.parametrize("name", CASES)
def test_envoy_takes_the_recorded_resources(name: str) -> None:
    for type_url, resources in json.loads((GOLDENS / f"{name}.json").read_text()).items():
        assert explain_rejection(type_url, resources) == UNKNOWN


@pytest.mark.needs("envoy")
def test_a_reason_is_one_sentence_and_shows_no_configuration() -> None:
    cluster = derive(EnvironmentRoutes("s", "x", CASES["one-release"]))[CLUSTER_TYPE][0]
    reason = explain_rejection(CLUSTER_TYPE, [{**cluster, "name": ""}])
    assert "ClusterValidationError.Name" in reason
    assert "127.0.0.1" not in reason
