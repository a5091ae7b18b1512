"""A button does what the API does, and where it cannot, it says why."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from deployments.models import Alias, Model, Version
from tests.app.deployments.conftest import ONNX
from tests.app.frontend.conftest import ENDPOINT, HX, browser, text
from tests.app.reconcile.conftest import Site
from tests.fakes.sandbox import FakeSandbox

HEAD = f"/partials{ENDPOINT}/head"


def press(client: Client, path: str, **fields: Any) -> Any:
    return client.post(path, fields, headers=HX)


def test_without_a_rollout_every_verb_is_there_and_says_that_none_moves(
    serving: Site, as_alice: Client
) -> None:
    page = text(as_alice.get(HEAD))
    for title in ("Promote", "Pause", "Resume", "Abort"):
        assert title in page
    assert page.count("No rollout is in progress.") == 4
    assert 'data-dialog-open="dialog-rollback"' in page


def test_charlie_sees_every_button_and_why_it_is_not_for_them(
    serving: Site, as_charlie: Client
) -> None:
    serving.baking(serving.start(3))
    page = text(as_charlie.get(HEAD))
    assert page.count("disabled aria-describedby") == 5
    assert "data-dialog-open" not in page


def test_a_rollout_is_paused_resumed_and_aborted(serving: Site, as_alice: Client) -> None:
    rollout = serving.baking(serving.start(3))
    base = f"/rollouts/{rollout.public_id}"
    for verb, said in (("pause", "is paused"), ("resume", "goes on"), ("abort", "taken back")):
        response = press(as_alice, f"{base}/{verb}", reason="because")
        assert response.status_code == 200, response.content
        assert said in text(response)
    serving.finish(rollout)
    assert serving.shares == {2: 100}


def test_promoting_skips_the_rest_of_the_bake(serving: Site, as_alice: Client) -> None:
    rollout = serving.baking(serving.start(3))
    assert press(as_alice, f"/rollouts/{rollout.public_id}/promote").status_code == 200
    serving.turn(rollout)
    assert rollout.outcome == "promoted"


def test_rolling_back_is_one_press_with_its_reason(serving: Site, as_alice: Client) -> None:
    response = press(as_alice, f"{ENDPOINT}/rollback", reason="it scores too low")
    assert response.status_code == 200
    rollout = serving.endpoint.rollouts.latest("number")
    assert (rollout.kind, rollout.comment) == ("rollback", "it scores too low")
    serving.finish(rollout)
    assert serving.shares == {1: 100}


def test_a_row_of_the_timeline_goes_back_to_its_own_release(
    serving: Site, as_alice: Client
) -> None:
    release = serving.endpoint.rollouts.get(number=1).target_release
    page = text(as_alice.get(f"/partials{ENDPOINT}/body"))
    assert f'name="to" value="{release.public_id}"' in page
    assert press(as_alice, f"{ENDPOINT}/rollback", to=release.public_id).status_code == 200


def test_without_scripts_a_form_comes_back_to_the_page_that_shows_it(
    serving: Site, as_alice: Client
) -> None:
    response = as_alice.post(f"{ENDPOINT}/rollback", {"reason": ""}, follow=True)
    assert response.redirect_chain == [(ENDPOINT, 302)]
    assert "Rolling back." in text(response)


def test_a_refusal_is_said_in_the_dialog_that_asked(serving: Site, as_alice: Client) -> None:
    rollout = serving.baking(serving.start(3))
    response = press(as_alice, f"/rollouts/{rollout.public_id}/resume", dialog="dialog-resume")
    assert response.status_code == 409
    assert response["HX-Retarget"] == "#dialog-resume-problem"
    assert "The rollout is not paused." in text(response)
    assert "rollout:cannot-resume" in text(response)


def test_a_target_for_a_refusal_cannot_be_made_up(serving: Site, as_alice: Client) -> None:
    rollout = serving.baking(serving.start(3))
    response = press(as_alice, f"/rollouts/{rollout.public_id}/resume", dialog="x, body")
    assert response["HX-Retarget"] == "#messages"


def test_a_press_on_an_outdated_page_changes_nothing(serving: Site, as_alice: Client) -> None:
    rollout = serving.baking(serving.start(3))
    path = f"/rollouts/{rollout.public_id}/abort"
    assert press(as_alice, path, generation=rollout.generation + 1).status_code == 409
    rollout.refresh_from_db()
    assert not rollout.spec["aborted"]


@pytest.mark.parametrize("generation", ["9" * 5000, "-1", "\N{ARABIC-INDIC DIGIT THREE}", "x"])
def test_what_was_seen_is_never_guessed(serving: Site, as_alice: Client, generation: str) -> None:
    rollout = serving.baking(serving.start(3))
    path = f"/rollouts/{rollout.public_id}/abort"
    assert press(as_alice, path, generation=generation).status_code == 422
    rollout.refresh_from_db()
    assert not rollout.spec["aborted"]


@pytest.mark.parametrize("path", [f"{ENDPOINT}/rollback", "/models/tumour/rollouts"])
def test_charlie_and_mallory_change_nothing_by_posting_themselves(
    serving: Site, as_charlie: Client, as_mallory: Client, path: str
) -> None:
    before = serving.endpoint.rollouts.count()
    body = {"version": 3, "environment": "staging", "reason": ""}
    for client in (as_charlie, as_mallory):
        assert client.post(path, body).status_code == 403
    assert serving.endpoint.rollouts.count() == before


def test_a_form_of_another_site_is_refused(serving: Site, as_alice: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    assert strict.post(f"{ENDPOINT}/rollback", {"reason": ""}).status_code == 403
    upload = {"artifact": __file__, "description": ""}
    assert strict.post("/models/tumour/versions", upload).status_code == 403


def test_reading_an_action_does_nothing(serving: Site, as_alice: Client) -> None:
    assert as_alice.get(f"{ENDPOINT}/rollback").status_code == 405


def test_a_rollout_starts_from_the_model_page(serving: Site, as_alice: Client) -> None:
    fields = {"version": 3, "environment": "staging", "comment": "try it"}
    response = press(as_alice, "/models/tumour/rollouts", **fields)
    assert response.status_code == 204
    assert response["HX-Redirect"] == ENDPOINT
    assert serving.endpoint.rollouts.latest("number").comment == "try it"


def test_a_wrong_field_is_a_sentence(serving: Site, as_alice: Client) -> None:
    fields = {"version": 99, "environment": "staging", "dialog": "start-rollout"}
    response = press(as_alice, "/models/tumour/rollouts", **fields)
    assert response.status_code == 422
    assert response["HX-Retarget"] == "#start-rollout-problem"
    assert "99" in text(response)


def test_an_alias_moves_and_moves_again(site: Site, as_alice: Client) -> None:
    for version in (1, 2):
        answer = press(as_alice, "/models/tumour/aliases", alias="champion", version=version)
        assert answer.status_code == 204, answer.content
    assert Alias.objects.get().version.number == 2
    page = text(as_alice.get("/models/tumour"))
    assert "by alice: from 1 to 2" in page


def test_a_model_is_made_and_its_page_opens(site: Site, as_alice: Client) -> None:
    fields = {"name": "churn", "team": "risk", "task": "other", "risk_tier": "low"}
    assert press(as_alice, "/models/new/create", **fields)["HX-Redirect"] == "/models/churn"
    assert Model.objects.filter(name="churn").exists()
    assert "slipway push my.onnx --model churn" in text(as_alice.get("/models/churn"))


def test_a_version_is_uploaded_and_checked(
    site: Site, as_alice: Client, sandbox: FakeSandbox, onnx_file: Any
) -> None:
    Model.objects.update(last_number=3)
    with onnx_file.open("rb") as file:
        answer = press(as_alice, "/models/tumour/versions", artifact=file, description="new")
    assert answer.status_code == 204, answer.content
    made = Version.objects.get(number=4)
    assert (made.description, made.allow_nonfinite) == ("new", False)
    assert "<dd>refused</dd>" in text(as_alice.get("/models/tumour"))


def test_a_version_may_be_allowed_nan_and_infinity(
    site: Site, as_alice: Client, sandbox: FakeSandbox, onnx_file: Any
) -> None:
    Model.objects.update(last_number=3)
    with onnx_file.open("rb") as file:
        press(as_alice, "/models/tumour/versions", artifact=file, allow_nonfinite="on")
    assert Version.objects.get(number=4).allow_nonfinite
    assert "<dd>allowed</dd>" in text(as_alice.get("/models/tumour"))


def test_what_intake_refuses_is_said_in_the_dialog(
    site: Site, as_alice: Client, sandbox: FakeSandbox, tmp_path: Any
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x80\x04" + ONNX)
    with path.open("rb") as file:
        answer = press(as_alice, "/models/tumour/versions", artifact=file, dialog="new-version")
    assert answer.status_code == 422
    assert "artifact:" in text(answer)
    assert Version.objects.count() == 3


def test_who_may_not_register_is_refused_before_the_file_is_read(
    site: Site, as_charlie: Client, sandbox: FakeSandbox, onnx_file: Any
) -> None:
    with onnx_file.open("rb") as file:
        assert press(as_charlie, "/models/tumour/versions", artifact=file).status_code == 403


def test_a_token_is_shown_once_and_can_be_revoked(site: Site, as_charlie: Client) -> None:
    fields = {"name": "ci", "scopes": ["models:read"], "expires_in_days": "30"}
    made = text(as_charlie.post("/settings/tokens/new", fields))
    assert "slw_" in made
    listed = text(as_charlie.get("/settings/tokens"))
    assert "slw_" not in listed
    token_id = listed.split('data-dialog-open="revoke-')[1].split('"')[0]
    as_charlie.post(f"/settings/tokens/{token_id}/revoke")
    assert "Revoked" in text(as_charlie.get("/settings/tokens"))


def test_a_token_of_somebody_else_is_not_there(
    site: Site, as_charlie: Client, as_alice: Client
) -> None:
    fields = {"name": "ci", "scopes": ["models:read"], "expires_in_days": "30"}
    as_alice.post("/settings/tokens/new", fields)
    listed = text(as_alice.get("/settings/tokens"))
    token_id = listed.split('data-dialog-open="revoke-')[1].split('"')[0]
    assert as_charlie.post(f"/settings/tokens/{token_id}/revoke").status_code == 404


def test_a_token_without_a_name_or_of_a_century_is_refused_with_what_was_entered(
    site: Site, as_charlie: Client
) -> None:
    long = {"name": "ci", "scopes": ["models:read"], "expires_in_days": "36500"}
    response = as_charlie.post("/settings/tokens/new", long)
    assert response.status_code == 422
    assert 'value="36500"' in text(response)
    assert as_charlie.post("/settings/tokens/new", {"name": " "}).status_code == 422


def test_nobody_signed_in_changes_nothing(serving: Site) -> None:
    before = serving.endpoint.rollouts.count()
    response = browser(None).post(f"{ENDPOINT}/rollback", {"reason": ""})
    assert response.status_code == 302
    assert serving.endpoint.rollouts.count() == before
