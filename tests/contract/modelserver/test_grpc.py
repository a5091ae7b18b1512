"""What gRPC clients may rely on: calls, statuses, counts, ends. The model is a fake."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from modelserver.dataplane import DataPlane, Identity
from modelserver.pb import inference_pb2 as pb
from tests.contract.modelserver.grpc_harness import (
    INFER,
    SECONDS,
    Served,
    refusal,
    served,
    watch,
)
from tests.contract.modelserver.server import eventually
from tests.unit.modelserver.fakes import Adder, Echo, one_thread, plane_for
from wire.signature import Signature, TensorSpec

Status = grpc.StatusCode
ROW = [1.0, 2.0, 4.0]
SLOW = 1.0  # seconds that a model is said to need, so that it runs in a thread


def typed(values: list[float] = ROW, **more: Any) -> dict[str, Any]:
    tensor = {"name": "X", "datatype": "FP32", "shape": [len(values) // 3, 3]}
    tensor |= {"contents": {"fp32_contents": values}}
    return {"model_name": "tumour", "inputs": [tensor]} | more


def raw(values: list[float] = ROW, **more: Any) -> dict[str, Any]:
    tensor = {"name": "X", "datatype": "FP32", "shape": [len(values) // 3, 3]}
    content = struct.pack(f"<{len(values)}f", *values)
    return {"model_name": "tumour", "inputs": [tensor], "raw_input_contents": [content]} | more


def body(asked: dict[str, Any]) -> bytes:
    return pb.ModelInferRequest(**asked).SerializeToString()


@pytest.fixture
def adder() -> Adder:
    return Adder()


@pytest.fixture
def grpc_server(adder: Adder) -> Iterator[Served]:
    with served(plane_for(adder)) as it:
        yield it


@pytest.fixture
def slow(adder: Adder) -> Iterator[Served]:
    """Its model runs in one thread, and two inferences at most are in work."""
    plane = plane_for(adder, warm_seconds=SLOW, pool=one_thread(), queue_limit=2)
    with served(plane) as it:
        yield it
        adder.may_go_on.set()


def test_it_tells_what_it_is_and_what_it_serves(grpc_server: Served) -> None:
    assert grpc_server.ask("ServerLive").live
    assert grpc_server.ask("ServerReady").ready
    assert grpc_server.ask("ModelReady", name="tumour", version="7").ready
    assert grpc_server.ask("ServerMetadata").name == "slipway"
    told = grpc_server.ask("ModelMetadata", name="tumour")
    assert (told.name, list(told.versions), told.platform) == ("tumour", ["7"], "onnx_onnxv1")
    (x,), (total,) = told.inputs, told.outputs
    assert (x.name, x.datatype, list(x.shape)) == ("X", "FP32", [-1, 3])
    assert (total.name, total.datatype, list(total.shape)) == ("sum", "FP32", [-1])


def test_tensors_come_back_in_the_form_in_which_they_went(grpc_server: Served) -> None:
    answer = grpc_server.ask("ModelInfer", **typed(id="mine"))
    assert (answer.model_name, answer.model_version, answer.id) == ("tumour", "7", "mine")
    (total,) = answer.outputs
    assert (total.name, total.datatype, list(total.shape)) == ("sum", "FP32", [1])
    assert list(total.contents.fp32_contents) == [7.0]
    assert not answer.raw_output_contents

    answer = grpc_server.ask("ModelInfer", **raw(model_version="7"))
    assert list(answer.raw_output_contents) == [struct.pack("<f", 7.0)]
    assert not answer.outputs[0].HasField("contents")
    assert answer.id, "a request without an id gets one"


HALF = TensorSpec("half", "FP16", (2,))
WHOLE = TensorSpec("whole", "INT8", (2,))


@pytest.fixture
def mixed() -> Iterator[Served]:
    same = (TensorSpec("same_half", "FP16", (2,)), TensorSpec("same_whole", "INT8", (2,)))
    with served(plane_for(Echo(Signature((HALF, WHOLE), same)))) as it:
        yield it


def both(**more: Any) -> dict[str, Any]:
    tensors = [
        {"name": "half", "datatype": "FP16", "shape": [2]},
        {"name": "whole", "datatype": "INT8", "shape": [2]},
    ]
    content = [struct.pack("<2e", 0.5, -2), struct.pack("<2b", -128, 127)]
    return {"model_name": "tumour", "inputs": tensors, "raw_input_contents": content} | more


def test_only_the_outputs_asked_for_are_answered_in_that_order(mixed: Served) -> None:
    wanted = [{"name": "same_whole"}, {"name": "same_half"}]
    answer = mixed.ask("ModelInfer", **both(outputs=wanted))
    assert [output.name for output in answer.outputs] == ["same_whole", "same_half"]
    assert list(answer.raw_output_contents) == [b"\x80\x7f", struct.pack("<2e", 0.5, -2)]
    answer = mixed.ask("ModelInfer", **both(outputs=wanted[:1]))
    assert [output.name for output in answer.outputs] == ["same_whole"]


def test_half_precision_has_no_typed_form(mixed: Served) -> None:
    inputs = both()["inputs"]
    inputs[0]["contents"] = {"fp32_contents": [0.5, -2]}
    inputs[1]["contents"] = {"int_contents": [1, 2]}
    asked = both(inputs=inputs, raw_input_contents=[])
    status, message, _ = refusal(lambda: mixed.ask("ModelInfer", **asked))
    assert (status, message) == (
        Status.INVALID_ARGUMENT,
        "Input `half` is FP16, which is always sent raw.",
    )


@pytest.mark.parametrize("form", [typed, raw])
def test_what_is_not_finite_is_refused_unless_the_version_allows_it(form: Any) -> None:
    asked = form([1.0, float("inf"), float("nan")])
    with served(plane_for(Adder())) as it:
        status, message, _ = refusal(lambda: it.ask("ModelInfer", **asked))
        assert (status, "`X`" in message) == (Status.INVALID_ARGUMENT, True)
    with served(plane_for(Adder(), allow_nonfinite=True)) as it:
        answer = it.ask("ModelInfer", **asked)
        (found,) = answer.outputs[0].contents.fp32_contents or struct.unpack(
            "<f", answer.raw_output_contents[0]
        )
        assert found != found, "the sum of these is no number"


def _wrong_field() -> dict[str, Any]:
    asked = typed()
    asked["inputs"][0]["contents"] = {"fp64_contents": ROW}
    return asked


def _two_fields() -> dict[str, Any]:
    asked = typed()
    asked["inputs"][0]["contents"]["int_contents"] = [1]
    return asked


WRONG: dict[str, tuple[dict[str, Any], Status, str]] = {
    "another model": (typed(model_name="tumor"), Status.NOT_FOUND, "no model `tumor`"),
    "no model": (typed(model_name=""), Status.NOT_FOUND, "no model"),
    "another version": (typed(model_version="8"), Status.NOT_FOUND, "no version `8`"),
    "no inputs": (typed(inputs=[]), Status.INVALID_ARGUMENT, "`X` is missing"),
    "an unknown output": (typed(outputs=[{"name": "y"}]), Status.INVALID_ARGUMENT, "no output `y`"),
    "too few values": (typed([*ROW, 1.0]), Status.INVALID_ARGUMENT, "`X`"),
    "a field for another datatype": (_wrong_field(), Status.INVALID_ARGUMENT, "`fp32_contents`"),
    "values in two fields": (_two_fields(), Status.INVALID_ARGUMENT, "`fp32_contents`"),
    "raw contents for no input": (
        raw(raw_input_contents=[b"", b""]),
        Status.INVALID_ARGUMENT,
        "2 `raw_input_contents` for 1 `inputs`",
    ),
    "raw contents beside typed ones": (
        typed(raw_input_contents=[struct.pack("<3f", *ROW)]),
        Status.INVALID_ARGUMENT,
        "although there are `raw_input_contents`",
    ),
    "raw contents that are too short": (
        raw(raw_input_contents=[b"\0" * 11]),
        Status.INVALID_ARGUMENT,
        "`X`",
    ),
    "a reserved parameter of another kind": (
        typed(parameters={"subject": {"int64_param": 1}}),
        Status.INVALID_ARGUMENT,
        "`subject`",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_request_is_refused_and_told_why(grpc_server: Served, wrong: str) -> None:
    asked, expected, words = WRONG[wrong]
    status, message, _ = refusal(lambda: grpc_server.ask("ModelInfer", **asked))
    assert (status, words in message) == (expected, True), message
    counts = grpc_server.report().counts
    assert (counts.requests["4xx"], sum(counts.refused.values())) == (1, 1)


def test_what_is_no_message_is_refused(grpc_server: Served) -> None:
    status, message, _ = refusal(lambda: grpc_server.send(INFER, b"\xff"))
    assert (status, message) == (Status.INVALID_ARGUMENT, "The body is not a ModelInferRequest.")
    nothing = grpc_server.channel.stream_unary(INFER)
    status, _, _ = refusal(lambda: nothing(iter(()), timeout=SECONDS))
    assert status == Status.INVALID_ARGUMENT
    status, _, _ = refusal(lambda: grpc_server.send(f"{INFER}Twice", body(typed())))
    assert status == Status.UNIMPLEMENTED
    assert grpc_server.report().counts.requests["4xx"] == 3
    assert grpc_server.events() == [], "a client's mistakes are not worth a line"


def test_a_message_over_the_limit_is_refused(grpc_server: Served) -> None:
    status, message, _ = refusal(lambda: grpc_server.send(INFER, b"\0" * (1 << 21)))
    assert (status, "larger than max" in message) == (Status.RESOURCE_EXHAUSTED, True)
    bomb: Any = {"compression": grpc.Compression.Gzip}
    status, message, _ = refusal(lambda: grpc_server.send(INFER, b"\0" * (1 << 21), **bomb))
    assert (status, "larger than max" in message) == (Status.RESOURCE_EXHAUSTED, True)


def test_a_compressed_request_is_a_request(grpc_server: Served) -> None:
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        told = grpc_server.send(INFER, body(typed(ROW * 200)), compression=compression)
        assert list(pb.ModelInferResponse.FromString(told).outputs[0].shape) == [200]


def test_while_it_loads_it_says_so_and_when_to_come_back(adder: Adder) -> None:
    plane = DataPlane(Identity("tumour", "7", adder.signature))
    with served(plane) as it:
        assert it.ask("ServerLive").live
        assert not it.ask("ServerReady").ready
        assert not it.ask("ModelReady", name="tumour").ready
        status, message, trailers = refusal(lambda: it.ask("ModelInfer", **typed()))
        assert (status, message) == (Status.UNAVAILABLE, "The model is still loading.")
        assert (trailers["retry-after"], trailers["grpc-retry-pushback-ms"]) == ("1", "1000")
        assert it.report().counts.requests["5xx"] == 1


def test_a_failing_model_is_our_fault_and_says_nothing_of_its_inside(
    grpc_server: Served, adder: Adder
) -> None:
    adder.fails = True
    status, message, _ = refusal(lambda: grpc_server.ask("ModelInfer", **typed()))
    assert (status, message) == (Status.INTERNAL, "The model failed on this input.")
    assert grpc_server.report().counts.requests["5xx"] == 1
    (line,) = grpc_server.events()
    assert line["event"] == "inference-failed"
    assert "inner secret" in line["trace"]


def test_a_full_queue_refuses_and_says_when_to_come_back(slow: Served, adder: Adder) -> None:
    adder.may_go_on.clear()
    call = slow.channel.unary_unary(INFER)
    waiting = [call.future(body(typed()), timeout=SECONDS) for _ in range(2)]
    eventually(lambda: slow.report().in_flight == 2)
    status, _, trailers = refusal(lambda: slow.ask("ModelInfer", **typed()))
    assert (status, trailers["retry-after"]) == (Status.UNAVAILABLE, "1")
    adder.may_go_on.set()
    assert all(each.result(SECONDS) for each in waiting)


def test_a_deadline_ends_the_wait_and_frees_the_place(slow: Served, adder: Adder) -> None:
    adder.may_go_on.clear()
    for _ in range(4):  # twice as many as may wait
        status, _, _ = refusal(lambda: slow.ask("ModelInfer", timeout=0.1, **typed()))
        assert status == Status.DEADLINE_EXCEEDED
        eventually(lambda: slow.report().in_flight == 0)
    adder.may_go_on.set()
    assert slow.ask("ModelInfer", **typed()).outputs
    assert slow.report().counts.total_requests == 1, "who hung up was not answered"


def test_a_client_that_hangs_up_frees_its_place(slow: Served, adder: Adder) -> None:
    adder.may_go_on.clear()
    call = slow.channel.unary_unary(INFER)
    for _ in range(4):
        asked = call.future(body(typed()), timeout=SECONDS)
        eventually(lambda: slow.report().in_flight == 1)
        asked.cancel()
        eventually(lambda: slow.report().in_flight == 0)
    adder.may_go_on.set()
    assert slow.ask("ModelInfer", **typed()).outputs


def test_smoke_inferences_are_counted_apart(grpc_server: Served) -> None:
    grpc_server.send(INFER, body(typed()), metadata=(("x-slipway-smoke", "1"),))
    grpc_server.ask("ModelInfer", **typed(ROW * 5))
    grpc_server.ask("ServerReady")
    counts = grpc_server.report().counts
    assert (counts.smoke, counts.rows, counts.requests["2xx"]) == (1, 5, 1)
    latency = counts.latency
    assert (latency.total.count, latency.inference.count, latency.queue.count) == (1, 1, 1)


def test_requests_are_counted_by_the_key_that_the_gateway_has_verified(
    grpc_server: Served,
) -> None:
    metadata = (("x-slipway-key", "key_01JD0000000000000000000001"),)
    grpc_server.send(INFER, body(typed()), metadata=metadata)
    refusal(lambda: grpc_server.send(INFER, body(typed(model_name="x")), metadata=metadata))
    grpc_server.ask("ModelInfer", **typed())
    assert grpc_server.report().counts.keys == {"key_01JD0000000000000000000001": 2}


class Trickle:
    """A stream of messages from which none comes until `end`."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self._ended.wait(SECONDS)
        yield from ()

    def end(self) -> None:
        self._ended.set()


@pytest.fixture
def trickle() -> Iterator[Trickle]:
    it = Trickle()
    yield it
    it.end()


def test_who_sends_nothing_is_waited_for_only_so_long(trickle: Trickle) -> None:
    with served(plane_for(Adder()), body_seconds=0.05) as it:
        asked = it.channel.stream_unary(INFER)
        status, _, _ = refusal(lambda: asked(iter(trickle), timeout=SECONDS))
        assert status == Status.DEADLINE_EXCEEDED
        assert it.report().counts.refused == {"request:too-slow": 1}
        assert it.ask("ModelInfer", **typed()).outputs


def test_the_end_waits_for_what_is_in_work_and_for_nobody_else(
    slow: Served, adder: Adder, trickle: Trickle
) -> None:
    adder.may_go_on.clear()
    working = slow.channel.unary_unary(INFER).future(body(typed()), timeout=SECONDS)
    silent = slow.channel.stream_unary(INFER).future(iter(trickle), timeout=SECONDS)
    watching = watch(slow, "")
    assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
    eventually(lambda: slow.report().in_flight == 2)
    stopping = threading.Thread(target=slow.stop, args=(SECONDS,))
    stopping.start()
    assert refusal(lambda: silent.result(SECONDS))[0] == Status.UNAVAILABLE
    assert list(watching) == []
    assert not working.done()
    adder.may_go_on.set()
    assert working.result(SECONDS)
    stopping.join(SECONDS)
    assert not stopping.is_alive()
    status, _, _ = refusal(lambda: slow.ask("ServerLive"))
    assert status == Status.UNAVAILABLE
