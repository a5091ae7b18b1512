"""The page about asking a model, run as it stands against a replica of the model that it asks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelserver import model
from tests.contract.modelserver.server import ROOT, Replica, running
from tests.unit.modelserver import graphs

PAGE = ROOT / "docs" / "reference" / "inference.md"
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"
ID = re.compile(r'"id": ?"[0-9a-f]{32}"')


def adder() -> bytes:
    constants = [
        numpy_helper.from_array(np.array([1]), "columns"),
        numpy_helper.from_array(np.array(5, np.float32), "five"),
    ]
    nodes = [
        helper.make_node("ReduceSum", ["X", "columns"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "five"], ["large"]),
    ]
    inputs = [graphs.tensor("X", shape=("N", 3))]
    outputs = [
        graphs.tensor("sum", shape=("N",)),
        graphs.tensor("large", TensorProto.BOOL, ("N",)),
    ]
    return graphs.model(nodes, inputs, outputs, constants)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    folder = tmp_path_factory.mktemp("adder")
    artifact = folder / "adder.onnx"
    artifact.write_bytes(adder())
    signature = model.load(artifact.read_bytes()).signature
    with running(folder, artifact, signature=signature, endpoint="adder") as replica:
        yield replica


def examples() -> list[tuple[str, str, str]]:
    """Language, program and what the page says that it prints."""
    blocks = BLOCKS.findall(PAGE.read_text())
    return [
        (language, program, told)
        for (language, program), (other, told) in pairwise(blocks)
        if language in {"sh", "python"} and not other
    ]


def plain(text: str) -> str:
    return re.sub(r"\s+", "", ID.sub('"id":""', text))


@pytest.mark.parametrize(("language", "program", "told"), examples())
def test_what_the_page_shows_happens(
    replica: Replica, language: str, program: str, told: str, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text(program.replace(ADDRESS, replica.url))
    runner = [sys.executable] if language == "python" else ["bash", "-e"]
    ended = subprocess.run(
        [*runner, str(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert plain(ended.stdout) == plain(told)


def test_the_page_has_examples() -> None:
    assert [language for language, _, _ in examples()] == ["sh", "sh", "python"]
