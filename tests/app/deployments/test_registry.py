"""Registering models and versions, and moving aliases."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from core.errors import (
    Conflict,
    ControlPlaneError,
    Invalid,
    NotAllowed,
    NotFound,
    Precondition,
    Stale,
    TooLarge,
)
from deployments.adapters import artifact_store
from deployments.models import Alias, AliasMove, Artifact, Model, Version
from deployments.selectors import registry
from deployments.services import aliases, models, versions
from governance.models import AuditEvent, Team, User
from tests.app.deployments.conftest import DIGEST, ONNX, stored_files
from tests.factories.people import actor
from tests.fakes.sandbox import SAMPLE, SIGNATURE, FakeSandbox, killed, out_of_time

pytestmark = pytest.mark.django_db


def test_alice_creates_a_model_for_her_team(alice: User, risk: Team) -> None:
    model = models.create(actor=actor(alice), name="tumour", team="risk", task="classification")
    assert (model.team, model.task, model.last_number) == (risk, "classification", 0)
    assert AuditEvent.objects.get().action == "model.create"


@pytest.mark.parametrize("name", ["Tumour", "a/b", "", "versions", "x" * 61])
def test_a_name_that_would_break_an_address_is_refused(alice: User, name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        models.create(actor=actor(alice), name=name, team="risk")
    assert refusal.value.problems[0].pointer == "/name"


def test_a_name_is_given_once(alice: User, tumour: Model) -> None:
    with pytest.raises(Conflict) as refusal:
        models.create(actor=actor(alice), name="tumour", team="risk")
    assert refusal.value.stable_code == "model:name-taken"


def test_nobody_creates_models_for_a_team_that_is_not_theirs(
    alice: User, charlie: User, mallory: User
) -> None:
    Team.objects.create(name="growth")
    for user, team in ((alice, "growth"), (charlie, "risk"), (mallory, "risk")):
        with pytest.raises(NotAllowed):
            models.create(actor=actor(user), name="mine", team=team)
    assert not Model.objects.exists()


def test_of_two_edits_of_the_same_state_one_wins(alice: User, tumour: Model) -> None:
    models.edit(actor=actor(alice), name="tumour", revision=1, description="first")
    with pytest.raises(Stale):
        models.edit(actor=actor(alice), name="tumour", revision=1, description="second")
    tumour.refresh_from_db()
    assert (tumour.description, tumour.revision) == ("first", 2)


def test_a_file_that_passes_becomes_the_next_version(
    alice: User, tumour: Model, onnx_file: Path, sandbox: FakeSandbox
) -> None:
    made = versions.register(
        actor=actor(alice),
        model="tumour",
        path=onnx_file,
        declared_digest=DIGEST.removeprefix("sha256:"),
        metadata={"trained_on": "wdbc"},
        description="the first",
    )
    assert (made.number, made.artifact_id, made.created_by_id) == (1, DIGEST, alice.pk)
    assert (made.signature, made.sample) == (SIGNATURE, SAMPLE)
    assert sandbox.seen == [("check", ONNX), ("inspect", ONNX)]
    assert AuditEvent.objects.get().action == "version.create"
    again = versions.register(actor=actor(alice), model="tumour", path=onnx_file)
    assert again.number == 2


def test_the_same_bytes_are_stored_once(
    alice: User, tumour: Model, onnx_file: Path, sandbox: FakeSandbox, artifacts: Path
) -> None:
    for _ in range(2):
        versions.register(actor=actor(alice), model="tumour", path=onnx_file)
    assert Artifact.objects.count() == 1
    assert len(stored_files(artifacts)) == 1


def test_uploading_again_heals_a_corrupted_artifact(
    alice: User, tumour: Model, onnx_file: Path, sandbox: FakeSandbox, artifacts: Path
) -> None:
    versions.register(actor=actor(alice), model="tumour", path=onnx_file)
    stored_files(artifacts)[0].write_bytes(b"rotten")
    versions.register(actor=actor(alice), model="tumour", path=onnx_file)
    [path] = stored_files(artifacts)
    healed = Artifact.objects.get()
    assert healed.storage_name == str(path.relative_to(artifacts))
    assert artifact_store.is_sound(healed)


def test_a_healed_artifact_keeps_the_key_that_images_were_made_with(
    alice: User, tumour: Model, onnx_file: Path, sandbox: FakeSandbox, artifacts: Path
) -> None:
    before = versions.register(actor=actor(alice), model="tumour", path=onnx_file).artifact
    stored_files(artifacts)[0].write_bytes(b"rotten")
    after = versions.register(actor=actor(alice), model="tumour", path=onnx_file).artifact
    assert artifact_store.key_of(after) == artifact_store.key_of(before)
    assert after.stored_digest != before.stored_digest


def test_uploading_again_encrypts_what_was_stored_plain(
    alice: User, tumour: Model, onnx_file: Path, sandbox: FakeSandbox, artifacts: Path
) -> None:
    name = FileSystemStorage(artifacts).save("sha256/plain", ContentFile(ONNX))
    Artifact.objects.create(digest=DIGEST, size=len(ONNX), storage_name=name)
    made = versions.register(actor=actor(alice), model="tumour", path=onnx_file)
    assert artifact_store.is_sound(made.artifact)
    assert len(stored_files(artifacts)) == 1


REFUSALS = {
    "check refuses": "model:external-data",
    "inspect crashes": "model:crashed",
    "inspect runs out of memory": "model:needs-too-much-memory",
    "inspect runs out of time": "model:too-slow",
    "a pickle": "artifact:pickle",
    "a wrong digest": "artifact:digest-mismatch",
    "too large": "artifact:too-large",
}


@pytest.mark.parametrize("what", list(REFUSALS))
def test_nothing_stays_of_a_file_that_is_refused(
    what: str,
    alice: User,
    tumour: Model,
    onnx_file: Path,
    sandbox: FakeSandbox,
    artifacts: Path,
    settings: object,
) -> None:
    declared = None
    match what:
        case "check refuses":
            sandbox.refuses("model:external-data")
        case "inspect crashes":
            sandbox.ends["inspect"] = killed(11)
        case "inspect runs out of memory":
            sandbox.ends["inspect"] = killed(6, "std::bad_alloc")
        case "inspect runs out of time":
            sandbox.ends["inspect"] = out_of_time()
        case "a pickle":
            onnx_file.write_bytes(b"\x80\x04\x95")
        case "a wrong digest":
            declared = "0" * 64
        case "too large":
            config = settings.CONFIG  # type: ignore[attr-defined]
            settings.CONFIG = config.model_copy(update={"max_artifact_bytes": 3})  # type: ignore[attr-defined]
    with pytest.raises((Invalid, TooLarge)) as refusal:
        versions.register(
            actor=actor(alice), model="tumour", path=onnx_file, declared_digest=declared
        )
    assert refusal.value.stable_code == REFUSALS[what]
    assert not Version.objects.exists()
    assert not Artifact.objects.exists()
    assert not AuditEvent.objects.exists()
    assert stored_files(artifacts) == []
    tumour.refresh_from_db()
    assert tumour.last_number == 0


def test_a_version_that_cannot_be_recorded_leaves_no_file(
    alice: User,
    tumour: Model,
    onnx_file: Path,
    sandbox: FakeSandbox,
    artifacts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the audit log is full")

    monkeypatch.setattr(versions.audit, "record", fail)
    with pytest.raises(RuntimeError):
        versions.register(actor=actor(alice), model="tumour", path=onnx_file)
    assert stored_files(artifacts) == []
    assert not Version.objects.exists()


def test_only_who_may_register_gets_as_far_as_the_sandbox(
    charlie: User, mallory: User, tumour: Model, onnx_file: Path, sandbox: FakeSandbox
) -> None:
    refusals: list[tuple[User, type[ControlPlaneError]]] = [
        (charlie, NotAllowed),
        (mallory, NotFound),
    ]
    for user, kind in refusals:
        with pytest.raises(kind):
            versions.register(actor=actor(user), model="tumour", path=onnx_file)
    assert sandbox.seen == []


def _version(model: Model, number: int) -> Version:
    artifact, _ = Artifact.objects.get_or_create(
        digest=DIGEST, defaults={"size": 1, "storage_name": "a"}
    )
    return Version.objects.create(
        model=model, number=number, artifact=artifact, signature=SIGNATURE, sample=SAMPLE
    )


def test_every_move_of_an_alias_is_kept(alice: User, tumour: Model) -> None:
    _version(tumour, 1)
    _version(tumour, 2)
    who = actor(alice)
    made = aliases.move(actor=who, model="tumour", alias="champion", version=1)
    moved = aliases.move(
        actor=who, model="tumour", alias="champion", version=2, revision=made.revision, reason="AUC"
    )
    aliases.remove(actor=who, model="tumour", alias="champion", revision=moved.revision)
    rows = registry.move_rows(who, "tumour", "champion").order_by("created_at", "pk")
    seen = [(row.from_version, row.to_version) for row in map(registry.move_row, rows)]
    assert seen == [(None, 1), (1, 2), (2, None)]
    assert AliasMove.objects.filter(reason="AUC", moved_by=alice).count() == 1
    assert not Alias.objects.exists()
    assert AuditEvent.objects.filter(action="alias.move").count() == 3


def test_moving_an_alias_needs_what_was_seen(alice: User, tumour: Model) -> None:
    _version(tumour, 1)
    who = actor(alice)
    aliases.move(actor=who, model="tumour", alias="champion", version=1)
    with pytest.raises(Precondition):
        aliases.move(actor=who, model="tumour", alias="champion", version=1)
    with pytest.raises(Stale):
        aliases.move(actor=who, model="tumour", alias="champion", version=1, revision=9)
    with pytest.raises(Stale):
        aliases.move(actor=who, model="tumour", alias="challenger", version=1, revision=1)


@pytest.mark.parametrize(("alias", "version"), [("1", 1), ("Champion", 1), ("champion", 7)])
def test_an_alias_is_a_name_for_a_version_that_exists(
    alice: User, tumour: Model, alias: str, version: int
) -> None:
    _version(tumour, 1)
    with pytest.raises(Invalid):
        aliases.move(actor=actor(alice), model="tumour", alias=alias, version=version)


def test_an_alias_names_the_version_in_the_list(alice: User, tumour: Model) -> None:
    _version(tumour, 1)
    Model.objects.filter(pk=tumour.pk).update(last_number=1)
    aliases.move(actor=actor(alice), model="tumour", alias="champion", version=1)
    [row] = registry.models(actor(alice))
    assert (row.latest_version, row.aliases) == (1, {"champion": 1})
    [version] = registry.versions(actor(alice), "tumour")
    assert version.aliases == ("champion",)
