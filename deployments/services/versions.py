"""Registering versions: intake, storage, and one row that never changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F

from core import live
from deployments.adapters import artifact_store, database
from deployments.adapters.artifact_store import Stored
from deployments.models import Artifact, Model, Version
from deployments.selectors import gate, subjects
from deployments.services import changes, intake
from deployments.services.intake import Accepted
from governance import audit, authorize
from governance.domain.access import Actor

LONGEST_DESCRIPTION = 10_000
LARGEST_METADATA = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Told:
    """What the person who registers it says about a version."""

    metadata: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    allow_nonfinite: bool = False


@dataclass(frozen=True, slots=True)
class _Storing:
    """The file stored for this version, None when a sound one was there; and the name of the
    file that it replaces, if any: a broken one, or one that an earlier Slipway stored plain."""

    new: Stored | None
    replaces: str | None = None


def register(
    *,
    actor: Actor,
    model: str,
    path: Path,
    declared_digest: str | None = None,
    metadata: dict[str, Any] | None = None,
    description: str = "",
    allow_nonfinite: bool = False,
) -> Version:
    """The file at `path` as the next version of `model`, once it has passed intake.

    `allow_nonfinite` lets NaN and infinity into its replicas and out of them.

    The caller owns the file. Nothing of one that is refused stays: no row, no number, no file.

    Raises:
        NotFound, NotAllowed.
        Invalid, TooLarge, Unavailable: see `deployments.services.intake.accept`.
    """
    row = gate.model_for(actor, model)
    authorize.require(actor, "version.create", subjects.of_model(row))
    told = _checked(_Told(metadata or {}, description, allow_nonfinite))
    # Intake takes seconds to minutes, in which nothing needs the database.
    database.let_go()
    accepted = intake.accept(path, declared_digest=declared_digest, allow_nonfinite=allow_nonfinite)
    known = Artifact.objects.filter(digest=accepted.digest).first()
    broken = None if known is None or artifact_store.is_sound(known) else known.storage_name
    stored = None if known and not broken else artifact_store.put(path, accepted.digest)
    kept = False
    try:
        version = _record(actor, row, accepted, told, _Storing(stored, replaces=broken))
        kept = stored is not None and version.artifact.storage_name == stored.name
    finally:
        if stored is not None and not kept:
            artifact_store.discard(stored.name)
    if kept and broken:
        artifact_store.discard(broken)
    return version


def require_may_register(actor: Actor, model: str) -> None:
    """For whoever is about to receive a large file: refuse before it comes."""
    authorize.require(actor, "version.create", subjects.of_model(gate.model_for(actor, model)))


def _record(
    actor: Actor, model: Model, accepted: Accepted, told: _Told, storing: _Storing
) -> Version:
    """The number is taken by an UPDATE in the transaction that uses it: of two at once, the second
    waits for the first, and one that fails gives its number back."""
    with transaction.atomic():
        artifact = _artifact(accepted, storing)
        Model.objects.filter(pk=model.pk).update(
            last_number=F("last_number") + 1, revision=F("revision") + 1
        )
        model.refresh_from_db()
        version = Version.objects.create(
            model=model,
            number=model.last_number,
            artifact=artifact,
            signature=accepted.signature,
            allow_nonfinite=told.allow_nonfinite,
            sample=accepted.sample,
            intake=accepted.report,
            metadata=told.metadata,
            description=told.description,
            created_by_id=actor.user_id or None,
        )
        audit.record(
            actor,
            "version.create",
            subjects.of_version(version, model),
            number=version.number,
            digest=accepted.digest,
            description=told.description,
            allow_nonfinite=told.allow_nonfinite,
        )
        live.changed(f"model:{model.public_id}", model.revision)
    return version


def _artifact(accepted: Accepted, storing: _Storing) -> Artifact:
    """The row of these bytes. One whose file was found to be broken gets the new file."""
    new = storing.new
    if new is None:
        return Artifact.objects.get(digest=accepted.digest)
    artifact, created = Artifact.objects.get_or_create(
        digest=accepted.digest, defaults={"size": new.size, **new.columns()}
    )
    if not created and artifact.storage_name == storing.replaces:
        Artifact.objects.filter(pk=artifact.pk, storage_name=storing.replaces).update(
            **new.columns()
        )
        artifact.refresh_from_db()
    return artifact


def _checked(told: _Told) -> _Told:
    if len(told.description) > LONGEST_DESCRIPTION:
        sentence = f"A description has at most {LONGEST_DESCRIPTION} characters."
        raise changes.wrong("description", "description_too_long", sentence)
    if len(json.dumps(told.metadata)) > LARGEST_METADATA:
        sentence = f"Metadata has at most {LARGEST_METADATA} bytes of JSON."
        raise changes.wrong("metadata", "metadata_too_large", sentence)
    return told
