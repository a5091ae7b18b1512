"""The one writer, and the one reader."""

from __future__ import annotations

import json

import pytest
from django.db import transaction

from core.errors import Broken
from governance import audit
from governance.domain import events
from governance.domain.access import SYSTEM, Subject
from governance.models import AuditEvent, Pseudonym, User
from governance.selectors import events as reading
from governance.services import teams
from tests.factories import people


@pytest.mark.django_db(transaction=True)
def test_a_record_outside_a_transaction_is_refused() -> None:
    with pytest.raises(Broken, match="transaction"):
        audit.record(SYSTEM, "team.create", Subject("team"))


def test_an_action_that_nobody_listed_cannot_be_recorded(db: None) -> None:
    with pytest.raises(Broken, match="catalogue"):
        audit.record(SYSTEM, "team.explode", Subject("team"))


def test_a_change_that_is_undone_leaves_no_record(admin: User) -> None:
    def fail_halfway() -> None:
        with transaction.atomic():
            teams.create(actor=people.actor(admin), name="risk")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert not AuditEvent.objects.exists()


def test_the_log_names_an_account_by_one_random_pseudonym(admin: User) -> None:
    for name in ("risk", "fraud"):
        teams.create(actor=people.actor(admin), name=name)
    refs = set(AuditEvent.objects.values_list("actor_ref", flat=True))
    assert refs == {Pseudonym.objects.get(user=admin).ref}
    for event in AuditEvent.objects.all():
        assert "admin" not in event.body
        assert admin.pk not in event.body


def test_a_row_holds_everything_that_a_proof_needs(admin: User) -> None:
    teams.create(actor=people.actor(admin), name="risk", title="Risk")
    event = AuditEvent.objects.get()
    body = json.loads(event.body)
    assert event.leaf_hash == events.leaf_hash(body, event.payload_commit)
    assert event.leaf_index is None
    assert len(bytes(event.salt or b"")) == 32
    assert body["event"] == str(event.event_id)
    assert body["request_id"] == event.request_id == "req_test"
    assert body["object"] == {"type": "team", "id": event.object_id}


def test_the_leaf_still_verifies_once_the_payload_and_its_salt_are_gone(admin: User) -> None:
    teams.create(actor=people.actor(admin), name="risk", title="Risk")
    AuditEvent.objects.update(payload_ct=None, salt=None)
    event = AuditEvent.objects.get()
    assert event.leaf_hash == events.leaf_hash(json.loads(event.body), event.payload_commit)
    shown = reading.opened([event])[0]
    assert shown.details is None
    assert shown.action == "team.create"


def test_a_reviewer_reads_names_and_reasons(admin: User, bob: User) -> None:
    teams.create(actor=people.actor(admin), name="risk", title="Risk")
    shown = reading.opened(reading.visible(people.actor(bob)))
    assert [(one.actor_name, one.details) for one in shown] == [
        ("admin", {"name": "risk", "title": "Risk"})
    ]


def test_charlie_and_an_engineer_read_nothing(admin: User, charlie: User, alice: User) -> None:
    teams.create(actor=people.actor(admin), name="fraud")
    for user in (charlie, alice):
        assert not reading.visible(people.actor(user)).exists()


def test_what_slipway_does_itself_is_told_apart(db: None) -> None:
    audit.record(SYSTEM, "rollout.finish", Subject("rollout", "01"), outcome="failed", code="x")
    event = AuditEvent.objects.get()
    assert (event.actor_ref, event.outcome) == ("system", "failed")
    assert json.loads(event.body)["actor"]["kind"] == "system"
