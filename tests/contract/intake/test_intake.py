"""Intake with the real sandbox, the real ONNX checker and the real model server."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from core.errors import Invalid, TooLarge
from deployments.adapters import onnx_check, sandbox
from deployments.services import intake
from tests.contract.intake import files


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> Any:
    folder = tmp_path_factory.mktemp("tmp")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("what", list(files.REFUSED))
def test_it_refuses(what: str, upload: Callable[[bytes], Path]) -> None:
    make, code = files.REFUSED[what]
    with pytest.raises(Invalid) as refusal:
        intake.accept(upload(make()))
    assert refusal.value.stable_code == code
    assert refusal.value.detail.endswith(".") or ":" in refusal.value.detail


def test_it_accepts_a_model_and_reports_what_it_is(upload: Callable[[bytes], Path]) -> None:
    accepted = intake.accept(upload(files.good()))
    assert accepted.size == len(files.good())
    assert accepted.signature == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert accepted.sample["inputs"][0]["shape"] == [1, 3]
    assert accepted.report["opsets"] == {"ai.onnx": 21}
    assert accepted.report["nodes"] == 1


def test_what_a_model_says_of_itself_can_be_stored(upload: Callable[[bytes], Path]) -> None:
    report = intake.accept(upload(files.produced_by_a_nul())).report
    assert report["producer"] == "a?b"
    assert "\x00" not in "".join(report["opsets"])


def test_a_model_that_answers_nan_is_a_model_where_that_is_allowed(
    upload: Callable[[bytes], Path],
) -> None:
    path = upload(files.answers_nan())
    with pytest.raises(Invalid) as refusal:
        intake.accept(path)
    assert refusal.value.stable_code == "model:nonfinite-output"
    assert "allow_nonfinite" in str(refusal.value)
    assert intake.accept(path, allow_nonfinite=True).digest.startswith("sha256:")


def test_a_model_that_takes_for_ever_is_too_slow(
    upload: Callable[[bytes], Path], settings: Any
) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update={"inspect_cpu_seconds": 2})
    with pytest.raises(Invalid) as refusal:
        intake.accept(upload(files.takes_for_ever()))
    assert refusal.value.stable_code == "model:too-slow"


def test_a_file_over_the_limit_is_too_large(upload: Callable[[bytes], Path], settings: Any) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update={"max_artifact_bytes": 10})
    with pytest.raises(TooLarge) as refusal:
        intake.accept(upload(files.good()))
    assert refusal.value.stable_code == "artifact:too-large"


def test_a_file_with_another_digest_than_announced_is_refused(
    upload: Callable[[bytes], Path],
) -> None:
    with pytest.raises(Invalid) as refusal:
        intake.accept(upload(files.good()), declared_digest="sha256:" + "0" * 64)
    assert refusal.value.stable_code == "artifact:digest-mismatch"


def test_it_never_opens_what_the_model_points_at(
    upload: Callable[[bytes], Path], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00" * 12)
    with pytest.raises(Invalid) as refusal:
        intake.accept(upload(files.external_data("secret")))
    assert refusal.value.stable_code == "model:external-data"


def _inspect(path: Path) -> dict[str, Any]:
    limits = sandbox.Limits(memory_bytes=4 * 1024**3, cpu_seconds=20, wall_seconds=20)
    program = sandbox.python("modelserver", "inspect", "--artifact", str(path))
    answer: dict[str, Any] = json.loads(sandbox.run(program, limits).output)
    return answer


def _model(**how: Any) -> bytes:
    return files.model([files.node("Relu")], **how).SerializeToString()


def test_onnx_runtime_serves_the_newest_versions_that_intake_lets_pass(
    upload: Callable[[bytes], Path],
) -> None:
    newest = {
        "": onnx_check.OPSETS["ai.onnx"][-1],
        "ai.onnx.ml": onnx_check.OPSETS["ai.onnx.ml"][-1],
    }
    path = upload(_model(ir_version=onnx_check.IR_VERSIONS[-1], opsets=newest))
    assert "signature" in _inspect(path)
    assert intake.accept(path).report["ir_version"] == onnx_check.IR_VERSIONS[-1]


@pytest.mark.parametrize(
    "how",
    [
        {"ir_version": onnx_check.IR_VERSIONS[-1] + 1},
        {"opsets": {"": onnx_check.OPSETS["ai.onnx"][-1] + 1}},
        {"opsets": {"": 21, "ai.onnx.ml": onnx_check.OPSETS["ai.onnx.ml"][-1] + 1}},
    ],
)
def test_onnx_runtime_refuses_what_is_newer(
    how: dict[str, Any], upload: Callable[[bytes], Path]
) -> None:
    assert _inspect(upload(_model(**how)))["code"] == "model:load-failed"


def test_a_function_made_of_onnx_operators_is_refused_by_its_own_domain() -> None:
    inner = helper.make_node("Relu", ["a"], ["b"])
    function = helper.make_function(
        "mine", "Wrap", ["a"], ["b"], [inner], [helper.make_opsetid("", 21)]
    )
    blob = files.model(
        [files.node("Wrap", domain="mine")], functions=[function], opsets={"": 21, "mine": 1}
    ).SerializeToString()
    with tempfile.NamedTemporaryFile() as file:
        file.write(blob)
        file.flush()
        code, answer = onnx_check.answer(Path(file.name))
    assert code == onnx_check.REFUSED
    assert json.loads(answer)["code"] == "model:foreign-operator"
