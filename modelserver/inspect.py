"""`modelserver inspect`: loads a file of unknown origin, runs one made-up row, says what it found.

Meant to be called in a sandbox: the caller bounds memory and time, and takes a process that dies
without an answer for a model that crashed. It needs nothing of its environment.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import orjson

from modelserver import onnxfile, sample
from modelserver.errors import LoadFailed, ModelFailed
from modelserver.runner import Runner

FOUND, REFUSED = 0, 3


def run(
    artifact: Path,
    out: BinaryIO,
    *,
    max_seconds: float | None = None,
    allow_nonfinite: bool = False,
) -> int:
    """Writes one JSON object, returns the exit code: a report (0), or `code` and `message` (3)."""
    answering = (
        threading.Lock()
    )  # taken once, by whoever gets to answer: the inspection or its deadline
    if max_seconds is not None:
        _deadline(out, answering, max_seconds)
    try:
        answer, code = inspect(artifact, allow_nonfinite=allow_nonfinite), FOUND
    except LoadFailed as problem:
        answer, code = {"code": problem.code, "message": problem.message}, REFUSED
    except MemoryError:
        message = "The model needs more memory than it may have here."
        answer, code = {"code": "model:too-large-to-load", "message": message}, REFUSED
    answering.acquire()  # when the deadline holds it, it ends the process
    _write(out, answer)
    return code


def inspect(artifact: Path, *, allow_nonfinite: bool = False) -> dict[str, object]:
    """The report. Raises LoadFailed with a sentence for the person who made the model."""
    try:
        blob = artifact.read_bytes()
    except OSError as problem:
        raise LoadFailed("model:unreadable", "The file cannot be read.") from problem
    from modelserver import model as models  # noqa: PLC0415  # its import needs memory: see `run`

    started = time.perf_counter()
    model = models.load(blob)
    loaded = time.perf_counter()
    signature = model.signature
    runner = Runner(model, allow_nonfinite=allow_nonfinite)
    feeds = sample.feeds(signature)
    try:
        results = runner.run(feeds, signature.outputs)
        runner.check_values(results, signature.outputs)
    except ModelFailed as problem:
        raise _run_failed(models.load_failure, problem) from problem
    ran = time.perf_counter()
    facts = onnxfile.read(blob)
    outputs = dict(zip((spec.name for spec in signature.outputs), results, strict=True))
    return {
        "signature": signature.to_json(),
        "sample": sample.request(signature, feeds),
        "output_sample": {"outputs": sample.tensors(signature.outputs, outputs)},
        "ir_version": facts.ir_version,
        "opsets": facts.opsets,
        "producer": facts.producer,
        "nodes": facts.nodes,
        "load_seconds": round(loaded - started, 6),
        "infer_seconds": round(ran - loaded, 6),
    }


def _run_failed(
    in_words: Callable[[BaseException], LoadFailed], problem: ModelFailed
) -> LoadFailed:
    if problem.code == "output:nonfinite":
        said = (
            f"{problem.message[:-1]}: on one row of made-up values. If NaN and infinity are meant,"
            " register the version with allow_nonfinite."
        )
        return LoadFailed("model:nonfinite-output", said)
    if problem.code.startswith("output:"):
        return LoadFailed("model:other-output", problem.message)
    cause = problem.__cause__ or problem
    in_general = in_words(cause)
    if in_general.code == "model:too-large-to-load":
        return in_general
    first_line = " ".join(str(cause).split())[:400]
    return LoadFailed(
        "model:run-failed", f"The model loads, but fails on one row of made-up values: {first_line}"
    )


def _deadline(out: BinaryIO, answering: threading.Lock, seconds: float) -> None:
    def give_up() -> None:
        if answering.acquire(blocking=False):
            message = f"The model did not load and answer one row within {seconds:g} s."
            _write(out, {"code": "model:too-slow", "message": message})
            os._exit(REFUSED)  # native code cannot be interrupted, only left behind

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()


def _write(out: BinaryIO, answer: dict[str, object]) -> None:
    out.write(orjson.dumps(answer) + b"\n")
    out.flush()
