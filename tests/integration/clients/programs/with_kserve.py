"""KServe's clients, REST and gRPC."""

from __future__ import annotations

import grpc
import httpx
import numpy as np
from checks import (
    COUNTS,
    FLAGS,
    HALVES,
    NUMBERS,
    TEXTS,
    Target,
    check,
    close,
    refused_async,
    run,
)
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)


def rest() -> InferenceRESTClient:
    return InferenceRESTClient(RESTConfig(protocol="v2", retries=1))


def tensor(name, datatype, array, *, binary):
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def table(target, *, binary, model=None, rows=None):
    array = np.array(target.rows if rows is None else rows, np.float32)
    return InferRequest(
        model_name=model or target.table,
        request_id="mine",
        infer_inputs=[tensor("X", "FP32", array, binary=binary)],
    )


def mixed(target, *, binary):
    texts = np.array([text.encode() for text in TEXTS], np.object_)
    inputs = [
        tensor("text", "BYTES", texts, binary=binary),
        tensor("half", "FP16", np.array(HALVES, np.float16), binary=True),
        tensor("count", "INT64", np.array(COUNTS, np.int64), binary=binary),
        tensor("flag", "BOOL", np.array(FLAGS, np.bool_), binary=binary),
        tensor("number", "FP32", np.array(NUMBERS, np.float32), binary=binary),
    ]
    return InferRequest(model_name=target.mixed, infer_inputs=inputs)


def arrays(answer):
    return {output.name: output.as_numpy() for output in answer.outputs}


def expect_predictions(target, answer):
    found = arrays(answer)
    assert found["label"].tolist() == target.labels
    close(found["probabilities"], target.probabilities)
    assert answer.id == "mine"


def expect_the_same(answer):
    found = arrays(answer)
    assert [_text(each) for each in found["same_text"].ravel().tolist()] == TEXTS
    assert found["same_half"].tolist() == HALVES
    assert found["same_count"].tolist() == COUNTS
    assert found["same_flag"].tolist() == FLAGS
    assert found["same_number"].tolist() == np.float32(NUMBERS).tolist()


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


@check
async def rest_is_live_and_ready(target: Target):
    client, given = rest(), {"headers": target.headers}
    assert await client.is_server_live(target.http, **given)
    assert await client.is_server_ready(target.http, **given)
    assert await client.is_model_ready(target.http, target.table, **given)
    assert not await client.is_model_ready(target.http, "nobody", **given)
    await client.close()


async def rest_infer(target, asked, headers=None):
    client = rest()
    given = dict(target.headers if headers is None else headers)
    try:
        return await client.infer(target.http, asked, model_name=asked.model_name, headers=given)
    finally:
        await client.close()


@check
async def rest_infers_with_json(target: Target):
    expect_predictions(target, await rest_infer(target, table(target, binary=False)))


@check
async def rest_infers_with_binary_tensors(target: Target):
    expect_predictions(target, await rest_infer(target, table(target, binary=True)))


@check
async def rest_sends_texts_and_halves(target: Target):
    expect_the_same(await rest_infer(target, mixed(target, binary=True)))


@check
async def rest_mistakes_are_told(target: Target):
    wrong = table(target, binary=False, rows=[[0.0] * 29])
    problem = await refused_async(httpx.HTTPStatusError, rest_infer(target, wrong))
    assert problem.response.status_code == 400
    assert "`X`" in str(problem)
    unknown = table(target, binary=False, model="nobody")
    problem = await refused_async(httpx.HTTPStatusError, rest_infer(target, unknown))
    assert problem.response.status_code == 404


@check
async def rest_needs_a_key(target: Target):
    for headers in ({}, {"authorization": "Bearer guessed"}):
        asking = rest_infer(target, table(target, binary=True), headers)
        problem = await refused_async(httpx.HTTPStatusError, asking)
        assert problem.response.status_code in {401, 403}


@check
async def grpc_is_live_and_ready(target: Target):
    async with InferenceGRPCClient(target.grpc) as client:
        given = {"headers": target.metadata}
        assert await client.is_server_live(**given)
        assert await client.is_server_ready(**given)
        assert await client.is_model_ready(target.table, **given)


async def grpc_infer(target, asked, headers=None):
    async with InferenceGRPCClient(target.grpc) as client:
        given = target.metadata if headers is None else headers
        return await client.infer(asked, headers=given)


@check
async def grpc_infers_with_typed_contents(target: Target):
    expect_predictions(target, await grpc_infer(target, table(target, binary=False)))


@check
async def grpc_infers_with_raw_contents(target: Target):
    expect_predictions(target, await grpc_infer(target, table(target, binary=True)))


@check
async def grpc_sends_texts_and_halves(target: Target):
    expect_the_same(await grpc_infer(target, mixed(target, binary=True)))


@check
async def grpc_mistakes_are_told(target: Target):
    wrong = table(target, binary=True, rows=[[0.0] * 29])
    problem = await refused_async(grpc.RpcError, grpc_infer(target, wrong))
    assert problem.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "`X`" in problem.details()
    unknown = table(target, binary=True, model="nobody")
    problem = await refused_async(grpc.RpcError, grpc_infer(target, unknown))
    assert problem.code() == grpc.StatusCode.NOT_FOUND


@check
async def grpc_needs_a_key(target: Target):
    denied = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
    for headers in ([], [("authorization", "Bearer guessed")]):
        asking = grpc_infer(target, table(target, binary=True), headers)
        problem = await refused_async(grpc.RpcError, asking)
        assert problem.code() in denied


run()
