"""A POST that is sent twice happens once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core import clock
from core.api import idempotency
from core.models import IdempotencyRecord
from governance.models import ApiToken, AuditEvent, Team, User
from governance.services import teams
from tests.factories import people
from tests.factories.api import Api, refused_with

RISK = {"name": "risk"}


def test_the_second_answer_is_the_first_one_again(admin_api: Api) -> None:
    first = admin_api.post("/teams", RISK, idempotency_key="k1")
    second = admin_api.post("/teams", RISK, idempotency_key="k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["ETag"] == first["ETag"]
    assert second["Location"] == first["Location"]
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert Team.objects.count() == AuditEvent.objects.count() == 1


def test_without_a_key_nothing_is_remembered(admin_api: Api) -> None:
    admin_api.post("/teams", RISK)
    assert refused_with(admin_api.post("/teams", RISK), 409, "team:name-taken")
    assert not IdempotencyRecord.objects.exists()


def test_a_key_stands_for_one_request_only(admin_api: Api) -> None:
    admin_api.post("/teams", RISK, idempotency_key="k1")
    response = admin_api.post("/teams", {"name": "fraud"}, idempotency_key="k1")
    assert refused_with(response, 422, "idempotency_key_reused")


def test_a_key_is_the_senders_own_and_the_addresses_own(admin_api: Api, bob: User) -> None:
    people.bind(bob, "org_admin")
    admin_api.post("/teams", RISK, idempotency_key="k1")
    other = Api(token=people.token(bob)).post("/teams", {"name": "b"}, idempotency_key="k1")
    elsewhere = admin_api.post("/tokens", {"name": "x"}, idempotency_key="k1")
    assert (other.status_code, elsewhere.status_code) == (201, 201)


def test_while_the_first_still_runs_the_second_is_told_to_wait(admin_api: Api) -> None:
    admin_api.post("/teams", RISK, idempotency_key="k1")
    IdempotencyRecord.objects.update(status=None, answer=None)
    response = admin_api.post("/teams", RISK, idempotency_key="k1")
    assert refused_with(response, 409, "idempotency_in_flight")
    assert response["Retry-After"] == "1"


def test_a_request_whose_worker_died_can_be_sent_again(admin_api: Api) -> None:
    admin_api.post("/teams", RISK, idempotency_key="k1")
    Team.objects.all().delete()
    IdempotencyRecord.objects.update(
        status=None,
        answer=None,
        claimed_at=clock.now() - timedelta(seconds=idempotency.CLAIM_SECONDS),
    )
    assert admin_api.post("/teams", RISK, idempotency_key="k1").status_code == 201


def test_what_failed_had_no_effect_and_may_be_sent_again(
    admin_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = teams.create

    def fail_after_the_effect(**arguments: Any) -> Team:
        create(**arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(teams, "create", fail_after_the_effect)
    assert admin_api.post("/teams", RISK, idempotency_key="k1").status_code == 500
    assert not Team.objects.exists()
    assert not AuditEvent.objects.exists()
    monkeypatch.undo()
    assert admin_api.post("/teams", RISK, idempotency_key="k1").status_code == 201


def test_a_refusal_does_not_use_the_key_up(admin_api: Api) -> None:
    wrong = admin_api.post("/teams", {"name": "NO"}, idempotency_key="k1")
    assert wrong.status_code == 422
    assert admin_api.post("/teams", RISK, idempotency_key="k1").status_code == 201


def test_after_a_day_the_key_is_new_again(admin_api: Api) -> None:
    admin_api.post("/teams", RISK, idempotency_key="k1")
    IdempotencyRecord.objects.update(expires_at=clock.now())
    fraud = admin_api.post("/teams", {"name": "fraud"}, idempotency_key="k1")
    assert fraud.status_code == 201


def test_expired_answers_are_deleted(admin_api: Api) -> None:
    admin_api.post("/teams", RISK, idempotency_key="k1")
    assert idempotency.forget_expired() == 0
    IdempotencyRecord.objects.update(expires_at=clock.now())
    assert idempotency.forget_expired() == 1


def test_a_secret_in_a_kept_answer_is_encrypted(admin_api: Api) -> None:
    first = admin_api.post("/tokens", {"name": "x"}, idempotency_key="k1").json()
    record = IdempotencyRecord.objects.get()
    assert first["token"].encode() not in bytes(record.answer or b"")
    assert admin_api.post("/tokens", {"name": "x"}, idempotency_key="k1").json() == first
    assert ApiToken.objects.filter(name="x").count() == 1


def test_whoever_lost_the_right_gets_no_replay(admin_api: Api, admin: User) -> None:
    admin_api.post("/teams", RISK, idempotency_key="k1")
    admin.bindings.all().delete()
    assert admin_api.post("/teams", RISK, idempotency_key="k1").status_code == 403


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "a\tb"])
def test_a_key_is_short_and_printable(admin_api: Api, key: str) -> None:
    response = admin_api.post("/teams", RISK, idempotency_key=key)
    assert response.status_code == 400
    assert response.json()["code"] in {"invalid_idempotency_key", "idempotency_key_required"}
