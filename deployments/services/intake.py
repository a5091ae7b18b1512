"""From an uploaded file to an accepted one: every check, and nothing kept of what fails one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from core.errors import Invalid, TooLarge, Unavailable
from deployments.adapters import artifact_store, sandbox
from deployments.domain import intake as rules
from deployments.domain.intake import Refusal
from wire.errors import Unreadable
from wire.signature import Signature

# Each may take the memory that one inspection may take; a third upload waits for its turn.
_AT_ONCE = 2
_WAIT_SECONDS = 120
_turns = threading.BoundedSemaphore(_AT_ONCE)

_REFUSED = 3
_CHECK = "deployments.adapters.onnx_check"
_INSPECT = "modelserver"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What passed. `sample` is one inference request that was run; `report` is what was found."""

    digest: str
    size: int
    signature: dict[str, Any]
    sample: dict[str, Any]
    report: dict[str, Any]


def accept(
    path: Path, *, declared_digest: str | None = None, allow_nonfinite: bool = False
) -> Accepted:
    """Take the file at `path` through intake. Reads it only; the caller owns it.

    A model that answers NaN or infinity is one only with `allow_nonfinite`.

    Raises:
        TooLarge: `artifact:too-large`.
        Invalid: any other refusal, with its stable code.
        Unavailable: too many others are being inspected, or the sandbox cannot start.
    """
    started = time.monotonic()
    check_size(path.stat().st_size)
    with path.open("rb") as file:
        _refuse(rules.sniff(file.read(rules.HEAD_BYTES)))
        file.seek(0)
        digest, size = artifact_store.digest_of(file)
    check_digest(declared_digest, digest)
    with _turn():
        checked = _ask(sandbox.python(_CHECK, str(path)), size)
        found = _ask(_inspect(path, allow_nonfinite=allow_nonfinite), size)
    report: dict[str, Any] = dict(checked)
    report |= {name: found[name] for name in ("load_seconds", "infer_seconds") if name in found}
    report["seconds"] = round(time.monotonic() - started, 3)
    return Accepted(digest, size, _signature(found), _sample(found), report)


def check_size(size: int) -> None:
    """Raises TooLarge when a file of so many bytes is over the limit."""
    limit = settings.CONFIG.max_artifact_bytes
    if size > limit:
        raise TooLarge(
            f"The file is larger than {limit} bytes.",
            code="artifact:too-large",
            extra={"limit_bytes": limit},
            help_text="An operator can raise SLIPWAY_MAX_ARTIFACT_BYTES.",
        )


def check_digest(declared: str | None, found: str) -> None:
    """Raises Invalid when the sender named a digest and another one arrived."""
    if declared is None:
        return
    expected = rules.digest_of(declared)
    if expected is None:
        raise Invalid(
            "A SHA-256 digest is 64 hexadecimal digits.", code="artifact:malformed-digest"
        )
    if expected != found:
        raise Invalid(
            f"The file that arrived has the digest {found}, not {expected}; upload it again.",
            code="artifact:digest-mismatch",
            extra={"expected": expected, "found": found},
        )


def _inspect(path: Path, *, allow_nonfinite: bool) -> list[str]:
    option = ["--allow-nonfinite"] if allow_nonfinite else []
    return sandbox.python(_INSPECT, "inspect", *option, "--artifact", str(path))


def _ask(program: list[str], size: int) -> dict[str, Any]:
    """The JSON answer of a program in the sandbox. Raises Invalid or Unavailable."""
    finished = sandbox.run(program, _limits(size))
    if finished.end is sandbox.End.CANNOT_START:
        raise Unavailable("The model could not be inspected.", code="intake:sandbox-unavailable")
    if finished.end is sandbox.End.OUT_OF_TIME:
        raise _refused(rules.TOO_SLOW)
    if len(finished.output) > sandbox.OUTPUT_BYTES:
        raise _refused(rules.TOO_MUCH_OUTPUT)
    answer = _read(finished.output)
    if finished.end is sandbox.End.EXITED and answer is not None:
        if finished.code == 0:
            return answer
        if finished.code == _REFUSED:
            raise _refused(rules.from_report(answer))
    raise _refused(rules.from_errors(finished.errors))


def _limits(size: int) -> sandbox.Limits:
    """The file itself is held several times while it is parsed, so its size comes on top."""
    config = settings.CONFIG
    return sandbox.Limits(
        memory_bytes=config.inspect_memory_bytes + 4 * size,
        cpu_seconds=config.inspect_cpu_seconds,
        wall_seconds=config.inspect_wall_seconds,
    )


def _read(output: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _signature(found: dict[str, Any]) -> dict[str, Any]:
    try:
        return Signature.from_json(found.get("signature")).to_json()
    except Unreadable as problem:
        raise _refused(
            Refusal("model:unsupported-signature", f"It cannot be served: {problem.message}")
        ) from problem


def _sample(found: dict[str, Any]) -> dict[str, Any]:
    sample = found.get("sample")
    if not isinstance(sample, dict):
        raise _refused(rules.CRASHED)
    return sample


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise _refused(refusal)


def _refused(refusal: Refusal) -> Invalid:
    return Invalid(refusal.sentence, code=refusal.code)


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=_WAIT_SECONDS):
        raise Unavailable("Other models are being inspected; try again.", code="intake:busy")
    try:
        yield
    finally:
        _turns.release()
