"""Claiming and committing by conditional UPDATE: no row is read, changed and saved."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import F

from core import clock
from core.models import Lease


def compare_and_set(row: models.Model, *, revision: int, **new: Any) -> bool:
    """Write `new` and raise the revision if it still is `revision`. True when this caller won."""
    manager = type(row)._default_manager
    return (
        manager.filter(pk=row.pk, revision=revision).update(revision=F("revision") + 1, **new) == 1
    )


@contextmanager
def lease(kind: str, key: str, *, ttl: float) -> Iterator[bool]:
    """Hold `kind:key` for the block, `ttl` seconds at most; yields whether we got it.

    A holder that dies keeps it until `ttl` has passed. It only avoids double work: what must not
    happen twice is guarded by a revision as well, because a holder may outlive its lease.
    """
    token = secrets.token_hex(16)
    name = f"{kind}:{key}"
    if not _acquire(name, token, ttl):
        yield False
        return
    try:
        yield True
    finally:
        Lease.objects.filter(name=name, token=token).delete()


def _acquire(name: str, token: str, ttl: float) -> bool:
    moment = clock.now()
    until = moment + timedelta(seconds=ttl)
    if Lease.objects.filter(name=name, until__lt=moment).update(token=token, until=until):
        return True
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, token=token, until=until)
    except IntegrityError:
        return False
    return True
