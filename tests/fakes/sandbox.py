"""A sandbox that runs nothing: it answers what the two checking programs would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deployments.adapters.sandbox import End, Finished, Limits

SIGNATURE = {
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
}
SAMPLE = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.5]}]}
CHECKED = {"ir_version": 10, "opsets": {"ai.onnx": 21}, "producer": "test", "nodes": 1}
INSPECTED = {"signature": SIGNATURE, "sample": SAMPLE, "load_seconds": 0.1, "infer_seconds": 0.01}


class FakeSandbox:
    """Every file passes, until a test says how a program ends. `seen` is what it was shown, and
    `programs` are the command lines."""

    def __init__(self) -> None:
        self.ends: dict[str, Finished] = {}
        self.seen: list[tuple[str, bytes]] = []
        self.programs: list[Sequence[str]] = []
        self.limits: list[Limits] = []

    def run(self, program: Sequence[str], limits: Limits) -> Finished:
        name = "inspect" if "inspect" in program else "check"
        self.seen.append((name, Path(program[-1]).read_bytes()))
        self.programs.append(program)
        self.limits.append(limits)
        answer = INSPECTED if name == "inspect" else CHECKED
        return self.ends.get(name) or exited(0, answer)

    def refuses(self, code: str, message: str = "It will not do.") -> None:
        self.ends["check"] = exited(3, {"code": code, "message": message})


def exited(code: int, answer: dict[str, Any]) -> Finished:
    return Finished(End.EXITED, code, json.dumps(answer).encode(), "", 0.1)


def killed(number: int, errors: str = "") -> Finished:
    return Finished(End.KILLED, number, b"", errors, 0.1)


def out_of_time() -> Finished:
    return Finished(End.OUT_OF_TIME, 9, b"", "", 90.0)
