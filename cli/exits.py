"""What the shell is told."""

from __future__ import annotations

from enum import IntEnum

from cli.shapes import Rollout


class Exit(IntEnum):
    OK = 0
    ERROR = 1
    USAGE = 2
    WAITING_FOR_APPROVAL = 3
    FAILED = 4
    TIMEOUT = 5


def of_rollback(rollout: Rollout) -> Exit:
    """Rolling back while a rollout is under way takes that one back, which is what was asked."""
    taken_back = rollout.is_decided and rollout.reason_code == "rolled-back"
    return Exit.OK if taken_back else of_rollout(rollout)


def of_rollout(rollout: Rollout) -> Exit:
    """A rollout that is under way and needs nobody is a success so far."""
    if rollout.is_decided or rollout.is_done:
        return Exit.OK if rollout.succeeded else Exit.FAILED
    return Exit.WAITING_FOR_APPROVAL if rollout.waiting == "approval" else Exit.OK
