"""`inspect` as intake calls it: a process with an empty environment and bounded memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.modelserver.server import MODELS, ROOT, TUMOUR
from tests.unit.modelserver import graphs

# What `python -m modelserver` does, but without any variable to say where the program lies.
RUN = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
runpy.run_module("modelserver", run_name="__main__")
"""
GIGABYTE = 2**30


def inspected(artifact: Path, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "inspect", "--artifact", str(artifact), *more],
        env={},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 * GIGABYTE, 4 * GIGABYTE)),
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_demos_models_pass(tmp_path: Path, number: int) -> None:
    code, report = inspected(MODELS / f"tumour-{number}.onnx", tmp_path, "--max-seconds", "30")
    assert code == 0
    assert set(report) == {
        *("signature", "sample", "output_sample", "ir_version", "opsets", "producer", "nodes"),
        *("load_seconds", "infer_seconds"),
    }
    assert report["signature"] == TUMOUR.to_json()
    assert report["sample"]["inputs"][0]["shape"] == [1, 30]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_model_is_refused_in_words(tmp_path: Path) -> None:
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(b"PK\x03\x04 an archive")
    code, said = inspected(artifact, tmp_path)
    assert (code, set(said), said["code"]) == (3, {"code", "message"}, "model:load-failed")


def test_a_graph_that_needs_100_gigabytes_is_refused_in_words(tmp_path: Path) -> None:
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(graphs.needs(100))
    code, said = inspected(artifact, tmp_path)
    assert (code, said["code"]) == (3, "model:too-large-to-load")


def test_a_model_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    code, said = inspected(MODELS / "tumour-1.onnx", tmp_path, "--max-seconds", "0.001")
    assert (code, said["code"]) == (3, "model:too-slow")


def test_the_runtime_keeps_and_sends_nothing_about_its_use(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    artifact = MODELS / "tumour-1.onnx"
    command = [sys.executable, "-c", RUN, "inspect", "--artifact", str(artifact)]
    done = subprocess.run(
        command, env={"HOME": str(home)}, cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert list(home.rglob("*")) == []
