"""Why a replica ended, from its exit code and the last lines of its log."""

from __future__ import annotations

import json
from typing import Any

from core.redact import redact
from deployments.domain.rollout import ReasonCode
from deployments.models import Replica
from deployments.ports import HostRefused, ObservedReplica

# The model server's own exit codes; see modelserver/serve.py.
_MANIFEST_REFUSED = 3
_LOAD_FAILED = 4
_EVIDENCE_LINES = 30
_RUNTIME_ERROR = "[ONNXRuntimeError]"
# How the events that end a replica are named; see modelserver/logs.py for the lines.
_TELLING = ("-failed", "-refused")


def explain(copy: Replica, observed: ObservedReplica | None, log_tail: str) -> dict[str, Any]:
    """A failure as it is stored: a typed code, a sentence, and the evidence for both."""
    exit_code = observed.exit_code if observed else None
    if observed and observed.out_of_memory:
        limit = copy.release.config.get("memory_bytes", 0) // 1024**2
        code, sentence = ReasonCode.REPLICA_CRASHED, f"The replica needed more than {limit} MiB"
    else:
        code, sentence = _verdict(exit_code)
    told = _last_told(log_tail)
    return {
        "code": str(code),
        "message": f"{sentence}: {told}" if told else f"{sentence}.",
        "evidence": {
            "replica": copy.public_id,
            "exit_code": exit_code,
            "log_tail": redact("\n".join(log_tail.splitlines()[-_EVIDENCE_LINES:])),
            "last_probe": copy.last_probe,
            "was_ready": copy.ready_at is not None,
        },
    }


def not_started(problem: HostRefused) -> dict[str, Any]:
    """The host would not start it."""
    return {
        "code": str(ReasonCode.HOST_REFUSED),
        "message": f"The host did not start the replica: {redact(problem.detail)}",
        "evidence": {"host_said": redact(problem.detail), "problem": problem.code},
    }


def _verdict(exit_code: int | None) -> tuple[ReasonCode, str]:
    if exit_code == _LOAD_FAILED:
        return ReasonCode.MODEL_LOAD_FAILED, "The model could not be loaded in its replica"
    if exit_code == _MANIFEST_REFUSED:
        return ReasonCode.MANIFEST_REFUSED, "The replica refused its release manifest"
    if exit_code is None:
        return ReasonCode.REPLICA_CRASHED, "The replica is gone and left no exit code"
    if exit_code > 128:
        return ReasonCode.REPLICA_CRASHED, f"The replica was ended by signal {exit_code - 128}"
    return ReasonCode.REPLICA_CRASHED, f"The replica ended with exit code {exit_code}"


def _last_told(log_tail: str) -> str:
    """The sentence of the last failure that the replica logged; it logs one JSON object a line."""
    for line in reversed(log_tail.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and str(entry.get("event", "")).endswith(_TELLING):
            return redact(_brief(str(entry.get("message") or entry.get("error") or "")))
    return ""


def _brief(message: str) -> str:
    """The sentence that was written for people. What ONNX Runtime says itself runs to hundreds of
    characters with paths of its sources; it stays in the log tail."""
    sentence = message.partition(_RUNTIME_ERROR)[0].rstrip(" :;")
    return sentence if sentence.endswith(".") else f"{sentence}."
