"""Endpoint keys: who may make them, what gateways are told, and what is shown of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import clock
from core.errors import Conflict, ControlPlaneError, Invalid, NotFound, Stale
from deployments import publish
from deployments.adapters import endpoint_keys
from deployments.domain.routing_inputs import Grant
from deployments.models import (
    Endpoint,
    EndpointKey,
    KeyUsage,
)
from deployments.reconcile import patrol
from deployments.selectors import keys as selectors
from deployments.services import keys
from governance.models import AuditEvent
from tests.app.deployments.keys_at_hand import generation, issue, other_endpoint, told
from tests.app.reconcile.conftest import Site

pytestmark = pytest.mark.django_db


def claims_of(text: str) -> dict[str, Any]:
    """As a gateway reads them: only if the signature is by the key that `jwks` gives."""
    head, payload, signature = text.split(".")
    [key] = endpoint_keys.jwks()["keys"]
    assert json.loads(_raw(head)) == {"alg": "EdDSA", "typ": "JWT", "kid": key["kid"]}
    public = Ed25519PublicKey.from_public_bytes(_raw(key["x"]))
    public.verify(_raw(signature), f"{head}.{payload}".encode())
    claims: dict[str, Any] = json.loads(_raw(payload))
    return claims


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_key_is_a_signed_token_that_says_for_where_and_until_when(
    site: Site, live: Endpoint
) -> None:
    issued = issue(site, expires_in_days=30)
    claims = claims_of(issued.text)
    name = issued.key.public_id
    assert (claims["iss"], claims["aud"]) == ("slipway", "staging")
    assert claims["jti"] == claims["sub"] == name
    assert claims["exp"] == int(issued.key.expires_at.timestamp())
    assert claims["exp"] - claims["iat"] == 30 * 86_400
    other = issued.text[:-4] + ("AAAA" if not issued.text.endswith("AAAA") else "BBBB")
    with pytest.raises(InvalidSignature):
        claims_of(other)


def test_what_verifies_keys_cannot_make_them(site: Site) -> None:
    [key] = endpoint_keys.jwks()["keys"]
    assert "d" not in key
    assert {"kty", "crv", "x", "kid", "alg", "use"} == key.keys()


def test_the_key_itself_is_kept_nowhere(site: Site, live: Endpoint) -> None:
    text = issue(site).text
    signature = text.rpartition(".")[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM deployments_endpointkey")
        assert signature not in str(cursor.fetchall())
    assert all(signature not in event.body for event in AuditEvent.objects.all())
    assert signature not in site.routes_text()


def test_an_endpoint_that_serves_nothing_has_keys_too(site: Site) -> None:
    site.start(1)
    issued = issue(site)
    assert set(told(site.endpoint)["keys"]) == {issued.key.public_id}
    assert publish.admission_differs() == []


def test_a_key_that_expires_leaves_the_snapshots_by_itself(site: Site, live: Endpoint) -> None:
    issued = issue(site, expires_in_days=1)
    patrol.sweep(limit=10)
    assert set(told(live)["keys"]) == {issued.key.public_id}
    site.pass_time(86_400)
    patrol.sweep(limit=10)
    assert told(live)["keys"] == {}


def test_looking_for_keys_that_ended_costs_the_same_however_many_there_are(
    site: Site, live: Endpoint
) -> None:
    issue(site, requests_per_day=5)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert publish.admission_differs() == []
        return len(captured)

    few = queries()
    for number in range(10):
        issue(site, name=f"key {number}", requests_per_day=5)
    assert queries() == few <= 4


def test_a_key_that_is_used_up_is_exhausted_until_midnight(site: Site, live: Endpoint) -> None:
    key = issue(site, requests_per_day=10).key
    today = clock.now().date()
    KeyUsage.objects.create(key=key, endpoint=live, day=today, requests=9)
    patrol.sweep(limit=10)
    assert told(live)["keys"] == {key.public_id: [None, False]}
    KeyUsage.objects.update(requests=10)
    patrol.sweep(limit=10)
    assert told(live)["keys"] == {key.public_id: [None, True]}
    row = selectors.row(site.actor, key.public_id)
    assert (row.state, row.usage[0].requests_today) == ("exhausted", 10)
    site.pass_time((row.resets_at - clock.now()).total_seconds())
    patrol.sweep(limit=10)
    assert told(live)["keys"] == {key.public_id: [None, False]}
    assert selectors.row(site.actor, key.public_id).state == "active"


def test_a_quota_is_one_for_each_endpoint(site: Site, live: Endpoint) -> None:
    other = other_endpoint(site)
    key = issue(site, endpoints=["tumour", "skin"], requests_per_day=10).key
    KeyUsage.objects.create(key=key, endpoint=live, day=clock.now().date(), requests=12)
    assert selectors.grants(live) == (Grant(key.public_id, None, exhausted=True),)
    assert selectors.grants(other) == (Grant(key.public_id),)


def test_raising_the_limit_lets_an_exhausted_key_in_again(site: Site, live: Endpoint) -> None:
    key = issue(site, requests_per_day=10).key
    KeyUsage.objects.create(key=key, endpoint=live, day=clock.now().date(), requests=10)
    patrol.sweep(limit=10)
    keys.edit(actor=site.actor, key_id=key.public_id, revision=1, requests_per_day=20)
    assert told(live)["keys"] == {key.public_id: [None, False]}
    keys.edit(actor=site.actor, key_id=key.public_id, revision=2, requests_per_day=None)
    assert selectors.row(site.actor, key.public_id).requests_per_day is None


def test_editing_moves_a_key_between_endpoints(site: Site, live: Endpoint) -> None:
    other = other_endpoint(site)
    key = issue(site).key
    keys.edit(actor=site.actor, key_id=key.public_id, revision=1, endpoints=["skin"])
    assert told(live)["keys"] == {}
    assert set(told(other)["keys"]) == {key.public_id}
    with pytest.raises(Stale):
        keys.edit(actor=site.actor, key_id=key.public_id, revision=1, name="late")


def test_after_rotating_both_keys_count_until_the_overlap_is_over(
    site: Site, live: Endpoint
) -> None:
    old = issue(site, requests_per_minute=7, requests_per_day=70).key
    new = keys.rotate(actor=site.actor, key_id=old.public_id, revision=1).key
    assert (new.name, new.requests_per_minute, new.requests_per_day) == ("ward 7", 7, 70)
    assert list(new.endpoints.all()) == [live]
    assert told(live)["keys"] == {
        old.public_id: [7, False],
        new.public_id: [7, False],
    }
    row = selectors.row(site.actor, old.public_id)
    assert (row.state, row.rotated_to) == ("expiring", new.public_id)
    site.pass_time(24 * 3600)
    patrol.sweep(limit=10)
    assert set(told(live)["keys"]) == {new.public_id}
    assert selectors.row(site.actor, old.public_id).state == "expired"


def test_without_an_overlap_the_old_key_ends_at_once(site: Site, live: Endpoint) -> None:
    old = issue(site).key
    new = keys.rotate(actor=site.actor, key_id=old.public_id, revision=1, overlap_hours=0).key
    assert set(told(live)["keys"]) == {new.public_id}


def test_rotating_never_lets_a_key_live_longer(site: Site, live: Endpoint) -> None:
    old = issue(site, expires_in_days=1).key
    keys.rotate(actor=site.actor, key_id=old.public_id, revision=1, overlap_hours=100)
    old.refresh_from_db()
    assert old.expires_at <= old.created_at + timedelta(days=1, seconds=1)


def test_a_key_is_replaced_once(site: Site, live: Endpoint) -> None:
    old = issue(site).key
    keys.rotate(actor=site.actor, key_id=old.public_id, revision=1)
    with pytest.raises(Conflict) as refusal:
        keys.rotate(actor=site.actor, key_id=old.public_id, revision=2)
    assert refusal.value.stable_code == "key:already-rotated"


@pytest.mark.parametrize("ending", ["revoked", "expired"])
def test_what_has_ended_is_neither_edited_nor_rotated(
    site: Site, live: Endpoint, ending: str
) -> None:
    key = issue(site, expires_in_days=1).key
    if ending == "revoked":
        key = keys.revoke(actor=site.actor, key_id=key.public_id)
    else:
        site.pass_time(86_400)
    for change in (
        lambda: keys.edit(
            actor=site.actor, key_id=key.public_id, revision=key.revision, name="again"
        ),
        lambda: keys.rotate(actor=site.actor, key_id=key.public_id, revision=key.revision),
    ):
        with pytest.raises(Conflict) as refusal:
            change()
        assert refusal.value.stable_code == "key:ended"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": ""}, "invalid_name"),
        ({"name": " ward"}, "invalid_name"),
        ({"name": "a\nb"}, "invalid_name"),
        ({"name": "n" * 61}, "invalid_name"),
        ({"endpoints": []}, "no_endpoints"),
        ({"endpoints": [f"m{n}" for n in range(101)]}, "too_many_endpoints"),
        ({"endpoints": ["moon"]}, "endpoint:not-found"),
        ({"environment": "moon"}, "environment:not-found"),
        ({"expires_in_days": 0}, "out_of_bounds"),
        ({"expires_in_days": 366}, "out_of_bounds"),
        ({"requests_per_minute": 0}, "out_of_bounds"),
        ({"requests_per_day": 2**31}, "out_of_bounds"),
    ],
)
def test_what_is_no_key_is_not_issued(
    site: Site, live: Endpoint, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(ControlPlaneError) as refusal:
        issue(site, **given)
    assert isinstance(refusal.value, Invalid | NotFound)
    assert refusal.value.stable_code == code
    assert not EndpointKey.objects.exists()
    assert not AuditEvent.objects.filter(action="key.issue").exists()


@pytest.mark.parametrize(
    ("action", "change"),
    [
        ("key.issue", lambda site, key: issue(site)),
        (
            "key.edit",
            lambda site, key: keys.edit(
                actor=site.actor, key_id=key.public_id, revision=1, name="x"
            ),
        ),
        (
            "key.rotate",
            lambda site, key: keys.rotate(actor=site.actor, key_id=key.public_id, revision=1),
        ),
        ("key.revoke", lambda site, key: keys.revoke(actor=site.actor, key_id=key.public_id)),
    ],
)
def test_each_change_is_recorded(
    site: Site,
    live: Endpoint,
    action: str,
    change: Callable[[Site, EndpointKey], object],
) -> None:
    key = issue(site).key
    AuditEvent.objects.all().delete()
    change(site, key)
    event = AuditEvent.objects.get()
    assert (event.action, event.object_type) == (action, "key")


def test_a_change_of_keys_moves_no_rollout(site: Site, live: Endpoint) -> None:
    """What gateways acknowledged of the shares of traffic stays true when only keys moved."""
    rollout = site.baking(site.start(2))
    was = rollout.status
    issue(site)
    site.turn(rollout)
    assert rollout.status["split"] == was["split"]
    assert site.shares == {1: 0, 2: 100}
    site.finish(rollout)
    assert rollout.outcome == "promoted"


def test_gateways_are_told_in_the_transaction_that_issues_a_key(site: Site, live: Endpoint) -> None:
    before = generation(site)
    issued = issue(site, requests_per_minute=30)
    assert generation(site) == before + 1
    assert told(live) == {"open": False, "keys": {issued.key.public_id: [30, False]}}
    assert selectors.grants(live) == (Grant(issued.key.public_id, 30),)


def test_a_revoked_key_is_gone_from_the_next_snapshot_on(site: Site, live: Endpoint) -> None:
    issued, other = issue(site), issue(site, name="other")
    before = generation(site)
    keys.revoke(actor=site.actor, key_id=issued.key.public_id)
    assert generation(site) == before + 1
    assert set(told(live)["keys"]) == {other.key.public_id}
    assert issued.key.public_id not in site.routes_text()
    keys.revoke(actor=site.actor, key_id=issued.key.public_id)
    assert AuditEvent.objects.filter(action="key.revoke").count() == 1
    assert generation(site) == before + 1


def test_a_key_says_when_every_gateway_knows_of_it(site: Site, live: Endpoint) -> None:
    key = issue(site).key

    def known() -> bool:
        return selectors.row(site.actor, key.public_id).acknowledged

    assert not known()
    site.poll(site.gateways[0])
    assert not known(), "the other has not said so"
    site.poll(site.gateways[1])
    assert known()
    keys.revoke(actor=site.actor, key_id=key.public_id)
    assert not known()
    for gateway in site.gateways:
        site.poll(gateway)
    assert known()
