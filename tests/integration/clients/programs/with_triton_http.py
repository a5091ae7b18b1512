"""NVIDIA's client over HTTP; binary unless told otherwise."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from checks import COUNTS, FLAGS, HALVES, NUMBERS, TEXTS, Target, check, close, refused, run
from tritonclient.utils import InferenceServerException


@contextmanager
def client(target: Target, **options):
    made = triton.InferenceServerClient(target.http.removeprefix("http://"), **options)
    try:
        yield made
    finally:
        made.close()


def tensor(module, name, datatype, array, **form):
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **form)
    return made


def table(target, module=triton, **form):
    return [tensor(module, "X", "FP32", np.array(target.rows, np.float32), **form)]


def expect_predictions(target, answer):
    assert answer.as_numpy("label").tolist() == target.labels
    assert answer.as_numpy("label").dtype == np.int64
    close(answer.as_numpy("probabilities"), target.probabilities)


@check
def it_is_live_and_ready(target: Target):
    with client(target) as server:
        assert server.is_server_live(headers=target.headers)
        assert server.is_server_ready(headers=target.headers)
        assert server.is_model_ready(target.table, headers=target.headers)
        assert server.is_model_ready(target.table, target.version, headers=target.headers)
        assert not server.is_model_ready("nobody", headers=target.headers)


@check
def metadata(target: Target):
    with client(target) as server:
        assert server.get_server_metadata(headers=target.headers)["name"]
        told = server.get_model_metadata(target.table, headers=target.headers)
    assert told["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}]
    assert told["versions"] == [target.version]


@check
def infer_with_json(target: Target):
    outputs = [
        triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "probabilities")
    ]
    with client(target) as server:
        inputs = table(target, binary_data=False)
        answer = server.infer(target.table, inputs, outputs=outputs, headers=target.headers)
    expect_predictions(target, answer)
    assert answer.get_response()["outputs"][0]["data"] == target.labels


@check
def infer_with_binary_tensors(target: Target):
    with client(target) as server:
        answer = server.infer(
            target.table, table(target), target.version, request_id="mine", headers=target.headers
        )
    expect_predictions(target, answer)
    told = answer.get_response()
    assert told["id"] == "mine"
    assert all("binary_data_size" in output["parameters"] for output in told["outputs"])


@check
def one_output_in_binary_and_nothing_else(target: Target):
    outputs = [triton.InferRequestedOutput("probabilities", binary_data=True)]
    with client(target) as server:
        inputs = table(target, binary_data=False)
        answer = server.infer(target.table, inputs, outputs=outputs, headers=target.headers)
    close(answer.as_numpy("probabilities"), target.probabilities)
    assert answer.as_numpy("label") is None


def mixed_inputs(module=triton, **form):
    texts = np.array([text.encode() for text in TEXTS], np.object_)
    return [
        tensor(module, "text", "BYTES", texts, **form),
        tensor(module, "half", "FP16", np.array(HALVES, np.float16)),
        tensor(module, "count", "INT64", np.array(COUNTS, np.int64), **form),
        tensor(module, "flag", "BOOL", np.array(FLAGS, np.bool_), **form),
        tensor(module, "number", "FP32", np.array(NUMBERS, np.float32), **form),
    ]


def expect_the_same(answer):
    assert [text.decode() for text in answer.as_numpy("same_text").tolist()] == TEXTS
    assert answer.as_numpy("same_half").dtype == np.float16
    assert answer.as_numpy("same_half").tolist() == HALVES
    assert answer.as_numpy("same_count").tolist() == COUNTS
    assert answer.as_numpy("same_flag").tolist() == FLAGS
    assert answer.as_numpy("same_number").tolist() == np.float32(NUMBERS).tolist()


@check
def texts_halves_and_flags_come_back_as_they_went(target: Target):
    with client(target) as server:
        expect_the_same(server.infer(target.mixed, mixed_inputs(), headers=target.headers))


@check
def texts_may_be_json_beside_binary_halves(target: Target):
    with client(target) as server:
        inputs = mixed_inputs(binary_data=False)
        expect_the_same(server.infer(target.mixed, inputs, headers=target.headers))


@check
def many_at_once_with_greenlets(target: Target):
    with client(target, concurrency=8) as server:
        asked = [
            server.async_infer(target.table, table(target), headers=target.headers)
            for _ in range(40)
        ]
        for each in asked:
            expect_predictions(target, each.get_result())


@check
async def with_asyncio(target: Target):
    async with triton_aio.InferenceServerClient(target.http.removeprefix("http://")) as server:
        assert await server.is_model_ready(target.table, headers=target.headers)
        answer = await server.infer(target.table, table(target, triton_aio), headers=target.headers)
        expect_predictions(target, answer)


@check
def mistakes_are_told(target: Target):
    with client(target) as server:
        wrong = [tensor(triton, "X", "FP32", np.zeros((1, 29), np.float32))]
        problem = refused(
            InferenceServerException,
            lambda: server.infer(target.table, wrong, headers=target.headers),
        )
        assert problem.status() == "400", problem
        assert "`X`" in problem.message()
        problem = refused(
            InferenceServerException,
            lambda: server.infer("nobody", table(target), headers=target.headers),
        )
        assert problem.status() == "404", problem


@check
def without_a_key_there_is_no_answer(target: Target):
    with client(target) as server:
        for headers in ({}, {"authorization": "Bearer guessed"}):
            problem = refused(
                InferenceServerException,
                lambda headers=headers: server.infer(target.table, table(target), headers=headers),
            )
            assert problem.status() in {"401", "403"}, problem
            assert problem.message(), "an error without a word"


run()
