"""NVIDIA's client over gRPC; tensors are always raw."""

from __future__ import annotations

import queue
from contextlib import contextmanager
from functools import partial

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from checks import COUNTS, FLAGS, HALVES, NUMBERS, TEXTS, Target, check, close, refused, run
from tritonclient.utils import InferenceServerException


@contextmanager
def client(target: Target):
    made = triton.InferenceServerClient(target.grpc)
    try:
        yield made
    finally:
        made.close()


def tensor(name, datatype, array):
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def table(target):
    return [tensor("X", "FP32", np.array(target.rows, np.float32))]


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


@check
def metadata(target: Target):
    with client(target) as server:
        assert server.get_server_metadata(headers=target.headers).name
        told = server.get_model_metadata(target.table, headers=target.headers)
    (only,) = told.inputs
    assert (only.name, only.datatype, list(only.shape)) == ("X", "FP32", [-1, 30])
    assert list(told.versions) == [target.version]


@check
def infer(target: Target):
    with client(target) as server:
        answer = server.infer(
            target.table, table(target), target.version, request_id="mine", headers=target.headers
        )
    expect_predictions(target, answer)
    assert answer.get_response().id == "mine"


@check
def one_output_and_nothing_else(target: Target):
    outputs = [triton.InferRequestedOutput("probabilities")]
    with client(target) as server:
        answer = server.infer(target.table, table(target), outputs=outputs, headers=target.headers)
    close(answer.as_numpy("probabilities"), target.probabilities)
    assert answer.as_numpy("label") is None


@check
def texts_halves_and_flags_come_back_as_they_went(target: Target):
    texts = np.array([text.encode() for text in TEXTS], np.object_)
    inputs = [
        tensor("text", "BYTES", texts),
        tensor("half", "FP16", np.array(HALVES, np.float16)),
        tensor("count", "INT64", np.array(COUNTS, np.int64)),
        tensor("flag", "BOOL", np.array(FLAGS, np.bool_)),
        tensor("number", "FP32", np.array(NUMBERS, np.float32)),
    ]
    with client(target) as server:
        answer = server.infer(target.mixed, inputs, headers=target.headers)
    assert [text.decode() for text in answer.as_numpy("same_text").tolist()] == TEXTS
    assert answer.as_numpy("same_half").dtype == np.float16
    assert answer.as_numpy("same_half").tolist() == HALVES
    assert answer.as_numpy("same_count").tolist() == COUNTS
    assert answer.as_numpy("same_flag").tolist() == FLAGS
    assert answer.as_numpy("same_number").tolist() == np.float32(NUMBERS).tolist()


@check
def many_at_once_with_callbacks(target: Target):
    answers: queue.Queue = queue.Queue()
    with client(target) as server:
        for _ in range(40):
            server.async_infer(
                target.table,
                table(target),
                callback=partial(lambda result, error: answers.put((result, error))),
                headers=target.headers,
            )
        for _ in range(40):
            result, error = answers.get(timeout=20)
            assert error is None, error
            expect_predictions(target, result)


@check
async def with_asyncio(target: Target):
    async with triton_aio.InferenceServerClient(target.grpc) as server:
        assert await server.is_model_ready(target.table, headers=target.headers)
        answer = await server.infer(target.table, table(target), headers=target.headers)
        expect_predictions(target, answer)


@check
def compressed_messages_are_refused_in_words(target: Target):
    """The gateway has to read which model a message means."""
    many = [tensor("X", "FP32", np.zeros((100, 30), np.float32))]
    with client(target) as server:
        for algorithm in ("gzip", "deflate"):
            problem = refused(
                InferenceServerException,
                lambda algorithm=algorithm: server.infer(
                    target.table, many, headers=target.headers, compression_algorithm=algorithm
                ),
            )
            assert problem.status() == "StatusCode.UNIMPLEMENTED", problem
            assert "compressed" in problem.message()


@check
def mistakes_are_told(target: Target):
    with client(target) as server:
        wrong = [tensor("X", "FP32", np.zeros((1, 29), np.float32))]
        problem = refused(
            InferenceServerException,
            lambda: server.infer(target.table, wrong, headers=target.headers),
        )
        assert problem.status() == "StatusCode.INVALID_ARGUMENT", problem
        assert "`X`" in problem.message()
        problem = refused(
            InferenceServerException,
            lambda: server.infer("nobody", table(target), headers=target.headers),
        )
        assert problem.status() == "StatusCode.NOT_FOUND", problem


@check
def without_a_key_there_is_no_answer(target: Target):
    with client(target) as server:
        for headers in ({}, {"authorization": "Bearer guessed"}):
            problem = refused(
                InferenceServerException,
                lambda headers=headers: server.infer(target.table, table(target), headers=headers),
            )
            denied = {"StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED"}
            assert problem.status() in denied, problem


run()
