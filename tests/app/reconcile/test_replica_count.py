"""A rollout of what is live already, with another number of replicas."""

from __future__ import annotations

import pytest

from tests.app.reconcile.conftest import Site

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_the_same_release_gets_another_number_of_replicas(
    site: Site, before: int, after: int
) -> None:
    site.finish(site.start(1, replicas=before))
    stable = site.endpoint.stable_release_id
    rollout = site.start(1, replicas=after)
    assert site.finish(rollout).outcome == "promoted"
    site.turn(rollout)
    assert site.endpoint.replicas == after
    assert site.endpoint.stable_release_id == stable
    site.collect()
    assert len(site.copies(1, "starting", "ready")) == after
    assert site.shares == {1: 100}
