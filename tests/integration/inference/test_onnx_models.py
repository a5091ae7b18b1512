"""Every test model of the onnx wheel, through the data plane: JSON and binary, both ways.

Each is served with the outputs that its authors expect, or refused for a reason that is counted
here. Where ONNX Runtime itself answers otherwise, we answer what it answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto

from modelserver import model as models
from modelserver.dataplane import DataPlane
from modelserver.errors import Invalid, LoadFailed, ModelFailed
from tests.integration.inference import onnx_cases
from tests.integration.inference.onnx_cases import Case
from tests.unit.modelserver.asking import KINDS, ask, plane_of

# Why a model is not served: what its refusal says, in the words of ONNX Runtime or our own.
REASONS = {
    "numbers of 8 bits and less, which the protocol has no names for": r"float8|u?int[24]\)|float4",
    "a sequence or an optional value": r"`(seq|optional)\(",
    "no input": r"takes no input",
    "an operator, datatype or attribute newer than the operator sets that are served": (
        r"Type Error: Type 'tensor|Unrecognized attribute|No Op registered"
    ),
    "an operator of a preview, or of training": r"ai\.onnx\.preview.* is not a registered",
    "no kernel in the CPU provider": (
        r"NOT_IMPLEMENTED|Failed to find kernel|layout == 1\) are not supported"
        r"|Add\) bound to different types"
    ),
    "a locale that this machine has not": r"Failed to construct locale",
}
LOCALE = "a locale that this machine has not"

# Where ONNX Runtime's CPU provider answers otherwise than the test expects.
OTHERWISE = {
    "noise is drawn anew": r"test_training_dropout",
    "rounding": r"test_(dft|stft)|test_attention_4d_causal_fp16",
    "another reading of the operator": (
        r"test_maxunpool_export_with_output_shape|test_resize_downsample_scales_\w+_align_corners"
        r"|test_attention_4d_with_past_and_present_qk_matmul_bias_[34]d_mask_causal"
    ),
}
RANDOM = re.compile(r"test_training_dropout|test_bernoulli")
# What loads and then fails on the test's own input.
FAILING = {
    "ONNX Runtime fails": {
        "test_attention_4d_diff_heads_mask4d_padded_kv",
        "test_convinteger_with_padding",
        "test_range_bfloat16_type_positive_delta_expanded",
        "test_reduce_max_empty_set_bool",
    },
    "newer than the operator sets that are served": {
        "test_mod_float16_mixed_sign_fmod_0",
        "test_mod_float32_mixed_sign_fmod_0",
        "test_mod_float64_mixed_sign_fmod_0",
        "test_mod_float_edge_cases_fmod_0_float16",
        "test_mod_float_edge_cases_fmod_0_float32",
        "test_mod_float_edge_cases_fmod_0_float64",
    },
}
# A free dimension of 0, which is answered without a run or not at all.
EMPTY = {"test_sequence_model8 input:empty"}


class Outcome:
    """What became of many models."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.refused: Counter[str] = Counter()
        self.otherwise: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.empty: set[str] = set()
        self.wrong: list[str] = []

    def see(self, case: Case) -> None:
        blob = case.model.SerializeToString()
        try:
            model = models.load(blob)
        except LoadFailed as refusal:
            self._refuse(case, refusal)
            return
        plane = plane_of(model)
        names = [spec.name for spec in model.signature.outputs]
        for given, wanted in case.runs:
            arrays = dict(zip((spec.name for spec in model.signature.inputs), given, strict=False))
            try:
                answers = [*_all_ways(plane, arrays)]
            except ModelFailed:
                self.failing.add(case.name)
                return
            except Invalid as refusal:
                self.empty.add(f"{case.name} {refusal.code}")
                return
            self._hold(case, blob, arrays, answers, dict(zip(names, wanted, strict=False)))
        self.served.append(case.name)

    def _refuse(self, case: Case, refusal: LoadFailed) -> None:
        for reason, words in REASONS.items():
            if re.search(words, refusal.message):
                self.refused[reason] += 1
                return
        self.wrong.append(f"{case.name} is refused: {refusal.message[:300]}")

    def _hold(
        self,
        case: Case,
        blob: bytes,
        arrays: dict[str, Any],
        answers: list[dict[str, Any]],
        wanted: dict[str, Any],
    ) -> None:
        unlike = [name for name in wanted if not _close(answers[0][name], wanted[name], case)]
        if unlike:
            reason = _why_otherwise(case)
            self.otherwise[reason or "unknown"] += 1
        if unlike and reason is None:
            self.wrong.append(f"{case.name}: {unlike} are not as expected")
        if RANDOM.match(case.name) or _has_bfloats(case):
            return  # numpy, and with it ONNX Runtime's simple interface, does not know BF16
        raw = _directly(blob, arrays)
        for answer in answers:
            for name, array in answer.items():
                if not _same(array, raw[name]):
                    self.wrong.append(f"{case.name}: `{name}` is not what ONNX Runtime answers")


def _why_otherwise(case: Case) -> str | None:
    return next((why for why, names in OTHERWISE.items() if re.match(names, case.name)), None)


def _all_ways(plane: DataPlane, arrays: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for in_binary in (False, True):
        yield ask(plane, arrays, in_binary=in_binary, answer_in_binary=in_binary)


def _has_bfloats(case: Case) -> bool:
    sides = (*case.model.graph.input, *case.model.graph.output)
    return any(each.type.tensor_type.elem_type == TensorProto.BFLOAT16 for each in sides)


def _directly(blob: bytes, arrays: dict[str, Any]) -> dict[str, Any]:
    """What ONNX Runtime says without us in between."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # as many as the model server has here: each adds differently
    session = onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feeds = {name: _as_texts(np.asarray(array)) for name, array in arrays.items()}
    return dict(zip(names, session.run(names, feeds), strict=True))


def _as_texts(array: Any) -> Any:
    if array.dtype.kind not in "OSU":
        return array
    return np.array([_text(each) for each in array.flat], object).reshape(array.shape)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _same(answer: Any, raw: Any) -> bool:
    if answer.shape != raw.shape:
        return False
    if raw.dtype.kind in "OSU":
        return bool(answer.tolist() == raw.tolist())
    if answer.dtype != raw.dtype or raw.dtype.kind != "f":
        return bool(answer.dtype == raw.dtype and np.array_equal(answer, raw))
    # Where an array lies in memory decides in which order Eigen adds it up.
    eps = 16 * float(np.finfo(raw.dtype).eps)
    return bool(np.allclose(answer, raw, eps, eps, equal_nan=True))


def _close(answer: Any, wanted: Any, case: Case) -> bool:
    wanted = np.asarray(wanted)
    if wanted.dtype.kind in "OSU":
        return [*map(_text, answer.flat)] == [*map(_text, wanted.flat)]
    if answer.dtype != wanted.dtype or answer.shape != wanted.shape:
        return False
    return bool(
        np.allclose(_plain(answer), _plain(wanted), case.rtol, case.atol, equal_nan=True)
        if wanted.dtype.kind in "fV"
        else np.array_equal(answer, wanted)
    )


def _plain(array: Any) -> Any:
    return array.astype(np.float32) if array.dtype == KINDS["BF16"] else array


def _seen(cases: Iterable[Case]) -> Outcome:
    outcome = Outcome()
    for case in cases:
        outcome.see(case)
    assert outcome.wrong == []
    # Counted apart: it depends on the machine and not on us.
    outcome.served += ["in another locale"] * outcome.refused.pop(LOCALE, 0)
    return outcome


def test_the_models_of_every_operator_are_served_or_refused_for_a_known_reason() -> None:
    outcome = _seen(onnx_cases.node())
    assert outcome.failing == set().union(*FAILING.values())
    assert outcome.empty == set()
    assert dict(outcome.refused) == {
        "numbers of 8 bits and less, which the protocol has no names for": 150,
        "an operator, datatype or attribute newer than the operator sets that are served": 74,
        "no kernel in the CPU provider": 59,
        "a sequence or an optional value": 29,
        "an operator of a preview, or of training": 18,
        "no input": 5,
    }
    assert dict(outcome.otherwise) == {
        "rounding": 13,
        "another reading of the operator": 5,
        "noise is drawn anew": 4,
    }
    assert len(outcome.served) == 1539


def test_the_light_models_answer_what_is_expected() -> None:
    outcome = _seen(onnx_cases.light())
    assert (len(outcome.served), outcome.refused, outcome.otherwise) == (9, {}, {})


def test_the_models_in_files_are_served_or_refused_for_a_known_reason() -> None:
    outcome = _seen(onnx_cases.files())
    assert (outcome.failing, outcome.empty, outcome.otherwise) == (set(), EMPTY, {})
    assert dict(outcome.refused) == {
        "no kernel in the CPU provider": 34,
        "an operator of a preview, or of training": 2,
    }
    assert len(outcome.served) == 103
