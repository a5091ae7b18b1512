"""The shape of an audit event: what is bound, what is hidden, what survives erasure."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from enum import StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core import ids
from core.errors import Broken
from governance.domain import events
from governance.domain.access import Actor, Subject

KEY, SALT, NONCE = b"k" * 32, b"s" * 32, b"n" * 12
EVENT = uuid.UUID("01931f5e-0000-7000-8000-000000000001")
ALICE = Actor(user_id="01ALICE", username="alice", ref="person-1", request_id="req_1")


def body() -> dict[str, object]:
    return events.body_of(
        event_id=EVENT,
        occurred_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        actor=ALICE,
        actor_ref="person-1",
        action="rollout.abort",
        subject=Subject("rollout", "01ROLLOUT", team_id="01TEAM"),
        outcome="done",
        policy_version="",
    )


def sealed(payload: dict[str, object]) -> events.Sealed:
    return events.seal(body(), payload, key=KEY, salt=SALT, nonce=NONCE)


def test_the_leaf_is_the_hash_of_the_canonical_body_with_the_commitment() -> None:
    row = sealed({"reason": "smoke"})
    leaf = rfc8785.dumps({**json.loads(row.body), "payload_commit": row.payload_commit})
    assert row.leaf_hash == hashlib.sha256(b"\x00" + leaf).hexdigest()


def test_the_commitment_is_an_hmac_of_the_canonical_payload_under_the_salt() -> None:
    row = sealed({"b": 1, "a": "x"})
    assert row.payload_commit == hmac.digest(SALT, b'{"a":"x","b":1}', "sha256").hex()


def test_the_body_holds_no_name_and_no_reason() -> None:
    row = sealed({"reason": "Bob asked for it", "username": "bob"})
    assert "alice" not in row.body.lower()
    assert "bob" not in row.body.lower()
    assert b"Bob" not in row.payload_ct


def test_the_payload_opens_again_for_its_own_event_only() -> None:
    row = sealed({"reason": "smoke"})
    assert json.loads(events.open_payload(EVENT, row.payload_ct, KEY)) == {"reason": "smoke"}
    with pytest.raises(Broken):
        events.open_payload(uuid.uuid4(), row.payload_ct, KEY)
    with pytest.raises(Broken):
        events.open_payload(EVENT, row.payload_ct, b"x" * 32)
    with pytest.raises(Broken):
        events.open_payload(EVENT, row.payload_ct[:-1] + b"\x00", KEY)


class Word(StrEnum):
    YES = "yes"


def test_odd_values_are_written_as_text_instead_of_undoing_what_they_describe() -> None:
    odd = {
        "when": datetime(2026, 1, 1, tzinfo=UTC),
        "id": EVENT,
        "huge": 2**70,
        "nan": float("nan"),
        "set": {"b", "a"},
        "word": Word.YES,
        "surrogate": "\ud800",
        1: (1, 2.5, None, True),
    }
    plain = events.plainly(odd)
    assert plain["when"] == "2026-01-01T00:00:00+00:00"
    assert plain["set"] == ["a", "b"]
    assert plain["word"] == "yes"
    assert plain["1"] == [1, 2.5, None, True]
    rfc8785.dumps(plain)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_whatever_is_recorded_can_be_read_again(payload: dict[str, object]) -> None:
    row = sealed(payload)
    opened = events.open_payload(EVENT, row.payload_ct, KEY)
    assert opened == rfc8785.dumps(events.plainly(payload))


def test_an_event_id_is_the_same_128_bits_in_both_forms() -> None:
    ulid = ids.new_ulid()
    assert events.event_ulid(events.event_uuid(ulid)) == ulid


def test_a_key_is_named_without_being_told() -> None:
    assert events.key_id(KEY) == events.key_id(KEY) != events.key_id(SALT)
    assert KEY.hex()[:16] != events.key_id(KEY)
