"""Looking after the keys of stored artifacts, from this machine's command line.

Each artifact is encrypted by a key of its own; what these use-cases change is only whether that is
so already, and which of the control plane's keys wraps it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from core.errors import Broken
from deployments.adapters import artifact_store
from deployments.adapters.artifact_store import PURPOSE
from deployments.models import Artifact
from governance import audit, authorize
from governance.domain.access import Actor, Subject

_ALL = Subject("artifact")
# A registration that began before a rotation may still write a row that needs the older key.
RETIRE_AFTER_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Encrypted:
    """Digests, and for those that failed the sentence that says why."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """`generation` wraps all of them now. `retired` are the older ones that were deleted."""

    generation: int
    count: int
    failed: dict[str, str] = field(default_factory=dict)
    retired: list[int] = field(default_factory=list)


def encrypt_plain(*, actor: Actor) -> Encrypted:
    """Encrypt what an earlier Slipway has stored plain. Repeatable, also beside everything else."""
    authorize.require(actor, "artifact.encrypt", _ALL)
    result = Encrypted()
    plain = Artifact.objects.filter(wrapped_key="").order_by("created_at")
    for digest in list(plain.values_list("digest", flat=True)):
        try:
            artifact_store.encrypted(digest)
        except Broken as problem:
            result.failed[digest] = problem.detail
            continue
        result.done.append(digest)
        with transaction.atomic():
            audit.record(actor, "artifact.encrypt", _ALL, digest=digest)
    return result


def rewrap(*, actor: Actor, retire: bool = False) -> Rewrapped:
    """Wrap the key of every artifact by a new key of the control plane's. The artifacts themselves,
    images and running replicas are not touched. With `retire`, older keys that nothing needs any
    more are deleted: backups from before can then no longer be read."""
    authorize.require(actor, "artifact.rewrap", _ALL)
    generation = settings.KEYS.rotate(PURPOSE)
    count, failed = _rewrap_all(generation)
    retired = _retire() if retire and not failed else []
    with transaction.atomic():
        audit.record(
            actor,
            "artifact.rewrap",
            _ALL,
            generation=generation,
            count=count,
            failed=sorted(failed),
            retired=retired,
        )
    return Rewrapped(generation, count, failed, retired)


def _rewrap_all(generation: int) -> tuple[int, dict[str, str]]:
    """Again until nothing is left: others may register artifacts meanwhile."""
    count, failed = 0, dict[str, str]()
    newest = f"{generation}."
    while True:
        older = Artifact.objects.exclude(wrapped_key="").exclude(wrapped_key__startswith=newest)
        rows = list(older.exclude(digest__in=list(failed)))
        if not rows:
            return count, failed
        for row in rows:
            try:
                key = artifact_store.key_of(row)
            except Broken as problem:
                failed[row.digest] = problem.detail
                continue
            wrapped = settings.KEYS.seal(PURPOSE, key, row.digest)
            # Conditional: whoever replaced the file meanwhile has wrapped its key anew.
            count += Artifact.objects.filter(pk=row.pk, wrapped_key=row.wrapped_key).update(
                wrapped_key=wrapped
            )


def _retire() -> list[int]:
    """Those that were replaced a while ago. The one that was replaced just now is for next time."""
    retired = []
    for generation in settings.KEYS.superseded(PURPOSE, for_seconds=RETIRE_AFTER_SECONDS):
        if not Artifact.objects.filter(wrapped_key__startswith=f"{generation}.").exists():
            settings.KEYS.retire(PURPOSE, generation)
            retired.append(generation)
    return retired
