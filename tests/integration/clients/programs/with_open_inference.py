"""The client made from the protocol's own definition: typed contents, blocking and asyncio."""

from __future__ import annotations

import struct

import grpc
from checks import COUNTS, FLAGS, NUMBERS, TEXTS, Target, check, close, refused, run
from open_inference.grpc import protocol
from open_inference.grpc.service import GRPCInferenceServiceStub


def table(target: Target, **more):
    values = [value for row in target.rows for value in row]
    tensor = {"name": "X", "datatype": "FP32", "shape": [len(target.rows), 30]}
    tensor["contents"] = {"fp32_contents": values}
    return protocol.ModelInferRequest(**({"model_name": target.table, "inputs": [tensor]} | more))


def expect_predictions(target, answer):
    outputs = {output.name: output for output in answer.outputs}
    assert list(outputs["label"].contents.int64_contents) == target.labels
    close(list(outputs["probabilities"].contents.fp32_contents), target.probabilities)
    assert not answer.raw_output_contents


@check
def it_is_live_and_ready(target: Target):
    with grpc.insecure_channel(target.grpc) as channel:
        server, given = GRPCInferenceServiceStub(channel), {"metadata": target.metadata}
        assert server.ServerLive(protocol.ServerLiveRequest(), **given).live
        assert server.ServerReady(protocol.ServerReadyRequest(), **given).ready
        for asked in ({"name": target.table}, {"name": target.table, "version": target.version}):
            assert server.ModelReady(protocol.ModelReadyRequest(**asked), **given).ready


@check
def metadata(target: Target):
    with grpc.insecure_channel(target.grpc) as channel:
        server, given = GRPCInferenceServiceStub(channel), {"metadata": target.metadata}
        assert server.ServerMetadata(protocol.ServerMetadataRequest(), **given).name
        told = server.ModelMetadata(protocol.ModelMetadataRequest(name=target.table), **given)
    (only,) = told.inputs
    assert (only.name, only.datatype, list(only.shape)) == ("X", "FP32", [-1, 30])
    assert list(told.versions) == [target.version]


@check
def infer_with_typed_contents(target: Target):
    with grpc.insecure_channel(target.grpc) as channel:
        asked = table(target, id="mine", model_version=target.version)
        answer = GRPCInferenceServiceStub(channel).ModelInfer(asked, metadata=target.metadata)
    expect_predictions(target, answer)
    assert answer.id == "mine"


@check
async def with_asyncio(target: Target):
    async with grpc.aio.insecure_channel(target.grpc) as channel:
        server = GRPCInferenceServiceStub(channel)
        expect_predictions(target, await server.ModelInfer(table(target), metadata=target.metadata))


@check
def raw_texts_and_halves_come_back_as_they_went(target: Target):
    texts = [text.encode() for text in TEXTS]
    raw = {
        ("text", "BYTES", (3,)): b"".join(struct.pack("<I", len(text)) + text for text in texts),
        ("half", "FP16", (3, 2)): struct.pack("<6e", 0.5, -2, 65504, 0, 1, 0.25),
        ("count", "INT64", (3,)): struct.pack("<3q", *COUNTS),
        ("flag", "BOOL", (3,)): bytes(FLAGS),
        ("number", "FP32", (3, 1)): struct.pack("<3f", *[row[0] for row in NUMBERS]),
    }
    inputs = [{"name": n, "datatype": d, "shape": s} for n, d, s in raw]
    asked = protocol.ModelInferRequest(
        model_name=target.mixed, inputs=inputs, raw_input_contents=list(raw.values())
    )
    with grpc.insecure_channel(target.grpc) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(asked, metadata=target.metadata)
    found = dict(zip([o.name for o in answer.outputs], answer.raw_output_contents, strict=True))
    assert found == {f"same_{name}": content for (name, _, _), content in raw.items()}


@check
def halves_have_no_typed_form(target: Target):
    contents = {
        ("text", "BYTES", (3,)): {"bytes_contents": [text.encode() for text in TEXTS]},
        ("count", "INT64", (3,)): {"int64_contents": COUNTS},
        ("flag", "BOOL", (3,)): {"bool_contents": FLAGS},
        ("number", "FP32", (3, 1)): {"fp32_contents": [row[0] for row in NUMBERS]},
    }
    inputs = [
        {"name": n, "datatype": d, "shape": s, "contents": c} for (n, d, s), c in contents.items()
    ]
    with grpc.insecure_channel(target.grpc) as channel:
        server = GRPCInferenceServiceStub(channel)
        problem = refused(
            grpc.RpcError,
            lambda: server.ModelInfer(
                protocol.ModelInferRequest(model_name=target.mixed, inputs=inputs),
                metadata=target.metadata,
            ),
        )
        # Halves have no typed form in the protocol, and typed and raw do not go together.
        assert problem.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "`half` is missing" in problem.details(), problem.details()


@check
def mistakes_are_told(target: Target):
    with grpc.insecure_channel(target.grpc) as channel:
        server = GRPCInferenceServiceStub(channel)
        for asked, status in (
            (table(target, inputs=[]), grpc.StatusCode.INVALID_ARGUMENT),
            (table(target, model_name="nobody"), grpc.StatusCode.NOT_FOUND),
        ):
            problem = refused(
                grpc.RpcError,
                lambda asked=asked: server.ModelInfer(asked, metadata=target.metadata),
            )
            assert problem.code() == status, problem
            assert problem.details()


@check
def without_a_key_there_is_no_answer(target: Target):
    denied = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
    with grpc.insecure_channel(target.grpc) as channel:
        server = GRPCInferenceServiceStub(channel)
        for given in ([], [("authorization", "Bearer guessed")]):
            problem = refused(
                grpc.RpcError, lambda given=given: server.ModelInfer(table(target), metadata=given)
            )
            assert problem.code() in denied, problem


run()
