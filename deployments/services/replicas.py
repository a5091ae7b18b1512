"""What the collector sees of replicas, written down. Facts, not wishes: no permission is asked and
nothing is audited; the reconcile loop decides what follows."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from core import clock, live
from core.concurrency import compare_and_set
from deployments import wakeups
from deployments.models import Replica

# The loop and other collectors write these rows too; each loss of the race means somebody won it.
_TRIES = 5


def record_ready(
    replica_id: str,
    *,
    streak: int,
    probe: dict[str, Any],
    address: str = "",
    port: int | None = None,
    grpc_port: int | None = None,
    boot_id: str = "",
) -> bool:
    """A starting replica has been ready `streak` times in a row: say so, and wake what waits.

    Returns False, and changes nothing, when it is not starting any more.
    """
    facts: dict[str, Any] = {
        "state": Replica.State.READY,
        "ready_streak": streak,
        "ready_at": clock.now(),
        "last_probe": probe,
    }
    # Empty means not known, which must not undo what the loop has found out.
    known = {"address": address, "port": port, "grpc_port": grpc_port, "boot_id": boot_id}
    facts |= {name: value for name, value in known.items() if value}
    with transaction.atomic():
        replica = _write_while_starting(replica_id, facts)
        if replica is None:
            return False
        endpoint = replica.release.endpoint
        wakeups.replica_changed(replica.release_id, endpoint.pk)
        live.changed(f"endpoint:{endpoint.public_id}", replica.revision)
        live.changed("fleet", replica.revision)
    return True


def record_probe(replica_id: str, probe: dict[str, Any]) -> bool:
    """A starting replica is not ready, for this reason. It wakes nobody: the rollout's own time
    limit asks for it. Returns False when the replica is not starting any more."""
    with transaction.atomic():
        written = _write_while_starting(replica_id, {"ready_streak": 0, "last_probe": probe})
    return written is not None


def _write_while_starting(replica_id: str, facts: dict[str, Any]) -> Replica | None:
    for _ in range(_TRIES):
        replica = (
            Replica.objects.select_related("release__endpoint")
            .filter(pk=replica_id, state=Replica.State.STARTING)
            .first()
        )
        if replica is None:
            return None
        if compare_and_set(replica, revision=replica.revision, **facts):
            replica.revision += 1
            return replica
    return None
