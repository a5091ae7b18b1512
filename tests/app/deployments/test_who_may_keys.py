"""Who may make keys, change them, and open endpoints."""

from __future__ import annotations

import pytest

from core.errors import NotAllowed, NotFound
from deployments.models import (
    Endpoint,
)
from deployments.selectors import keys as selectors
from deployments.services import endpoints, keys
from governance.models import AuditEvent, User
from tests.app.deployments.keys_at_hand import an_admin, generation, issue, other_endpoint, told
from tests.app.reconcile.conftest import Site
from tests.factories import people

pytestmark = pytest.mark.django_db


def test_whoever_may_not_at_one_endpoint_may_not_for_a_key_that_reaches_it(
    site: Site, live: Endpoint
) -> None:
    """Alice deploys for `risk`; `skin` is another team's."""
    other_endpoint(site, team="dermatology")
    admin = an_admin()
    with pytest.raises(NotFound):
        issue(site, endpoints=["tumour", "skin"])
    people.bind(User.objects.get(username="alice"), "viewer")
    alice = people.actor(User.objects.get(username="alice"))
    with pytest.raises(NotAllowed):
        issue(site, actor=alice, endpoints=["tumour", "skin"])
    key = issue(site, actor=admin, endpoints=["tumour", "skin"]).key
    for refused in (
        lambda: keys.revoke(actor=alice, key_id=key.public_id),
        lambda: keys.rotate(actor=alice, key_id=key.public_id, revision=1),
        lambda: keys.edit(actor=alice, key_id=key.public_id, revision=1, requests_per_day=1),
        lambda: keys.edit(actor=alice, key_id=key.public_id, revision=1, endpoints=["tumour"]),
    ):
        with pytest.raises(NotAllowed):
            refused()
    keys.edit(actor=alice, key_id=key.public_id, revision=1, endpoints=["skin"])
    assert [each.model.name for each in key.endpoints.all()] == ["skin"]


def test_nobody_takes_away_an_endpoint_that_they_do_not_see(site: Site, live: Endpoint) -> None:
    other_endpoint(site, team="dermatology")
    key = issue(site, actor=an_admin(), endpoints=["tumour", "skin"]).key
    seen = selectors.row(site.actor, key.public_id)
    assert (seen.endpoints, seen.other_endpoints) == (("tumour",), 1)
    keys.edit(actor=site.actor, key_id=key.public_id, revision=1, endpoints=["tumour"])
    assert key.endpoints.count() == 2


def test_a_key_for_what_one_cannot_see_is_not_there(site: Site, live: Endpoint) -> None:
    other_endpoint(site, team="dermatology")
    key = issue(site, actor=an_admin(), endpoints=["skin"]).key
    with pytest.raises(NotFound):
        keys.revoke(actor=site.actor, key_id=key.public_id)
    assert not selectors.key_rows(site.actor).exists()


@pytest.mark.parametrize("who", ["charlie", "bob", "mallory"])
def test_whoever_may_not_deploy_makes_no_keys(
    site: Site, live: Endpoint, who: str, request: pytest.FixtureRequest
) -> None:
    visitor = people.person(who)
    if who != "mallory":
        people.bind(visitor, {"charlie": "viewer", "bob": "compliance_reviewer"}[who])
    with pytest.raises((NotAllowed, NotFound)):
        issue(site, actor=people.actor(visitor))
    key = issue(site).key
    with pytest.raises((NotAllowed, NotFound)):
        keys.revoke(actor=people.actor(visitor), key_id=key.public_id)
    key.refresh_from_db()
    assert key.revoked_at is None


def test_opening_an_endpoint_is_declared_by_whoever_answers_for_it(
    site: Site, live: Endpoint
) -> None:
    assert not live.is_open
    with pytest.raises(NotAllowed):
        endpoints.open_to_all(actor=site.actor, endpoint_id=live.public_id)
    admin, before = an_admin(), generation(site)
    endpoints.open_to_all(actor=admin, endpoint_id=live.public_id, reason="A public demo.")
    assert told(live)["open"] is True
    assert generation(site) == before + 1
    endpoints.open_to_all(actor=admin, endpoint_id=live.public_id)
    assert AuditEvent.objects.filter(action="endpoint.open").count() == 1
    endpoints.require_keys(actor=site.actor, endpoint_id=live.public_id)
    assert told(live)["open"] is False
    assert generation(site) == before + 2
    assert AuditEvent.objects.filter(action="endpoint.close").count() == 1
