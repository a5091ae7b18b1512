"""gRPC through the gateway on the whole stack: one address, one key, the same rollouts."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from modelserver.pb import inference_pb2 as pb
from tests.integration.stack import ENVIRONMENT, MODEL, MODELS, Stack
from tests.running import eventually

pytestmark = pytest.mark.needs("redis", "envoy")

INFER = "/inference.GRPCInferenceService/ModelInfer"
SECONDS = 20
CLIENTS = 4
Status = grpc.StatusCode


def asked(count: int = 1, **more: Any) -> pb.ModelInferRequest:
    rows = json.loads((MODELS / "rows.json").read_text())["rows"][:count]
    tensor = {"name": "X", "datatype": "FP32", "shape": [count, 30]}
    tensor["contents"] = {"fp32_contents": [value for row in rows for value in row]}
    return pb.ModelInferRequest(**({"model_name": MODEL, "inputs": [tensor]} | more))


@dataclass
class Caller:
    """One connection to the gateway, with a key."""

    channel: grpc.Channel
    key: str

    def infer(self, message: pb.ModelInferRequest | None = None, *more: tuple[str, str]) -> Any:
        call = self.channel.unary_unary(
            INFER,
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        metadata = [("authorization", f"Bearer {self.key}")] if self.key else []
        return call(message or asked(), timeout=SECONDS, metadata=[*metadata, *more])

    def status(self, *arguments: Any) -> grpc.StatusCode:
        try:
            self.infer(*arguments)
        except grpc.RpcError as problem:
            call: Any = problem
            status: grpc.StatusCode = call.code()
            return status
        return Status.OK


@contextmanager
def calling(stack: Stack, key: str) -> Iterator[Caller]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    address = urlsplit(stack.gateways[ENVIRONMENT]).netloc
    with grpc.insecure_channel(address, options=options) as channel:
        yield Caller(channel, key)


@pytest.fixture
def live(stack: Stack) -> Stack:
    stack.at_rest()
    return stack


@pytest.fixture
def key(live: Stack) -> str:
    return issue(live, "grpc").text


def issue(stack: Stack, name: str) -> Any:
    key = stack.slipway.issue_key(name, MODEL, environment=ENVIRONMENT)
    stack.slipway.wait_for_key(key.id, timeout=stack.lasting.within)
    return key


@dataclass
class Answers:
    """Of clients that never rest: when each call began, and the version that answered or what went
    wrong."""

    every: list[tuple[float, str]] = field(default_factory=list)

    def since(self, moment: float) -> Counter[str]:
        return Counter(said for began, said in list(self.every) if began > moment)


@contextmanager
def load(stack: Stack, key: str) -> Iterator[Answers]:
    answers, over = Answers(), threading.Event()

    def go_on() -> None:
        with calling(stack, key) as caller:
            while not over.is_set():
                began = time.monotonic()
                try:
                    said = caller.infer().model_version
                except grpc.RpcError as problem:
                    said = str(problem)
                answers.every.append((began, said))

    clients = [threading.Thread(target=go_on) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield answers
    finally:
        over.set()
        for client in clients:
            client.join(2 * SECONDS)


def test_switches_lose_no_call(live: Stack, key: str) -> None:
    old, new = live.at_rest()
    with load(live, key) as answers:
        for version in (new, old):
            rollout = live.deploy(version)
            live.until(rollout, _switched, what="every gateway runs the new routes")
            since = time.monotonic()
            eventually(lambda: answers.since(since).total() > 10, within=live.lasting.within)  # noqa: B023
            assert set(answers.since(since)) == {str(version)}
        live.at_rest()
    assert set(answers.since(0)) == {str(old), str(new)}, "nothing but predictions"


def _switched(rollout: Any) -> bool:
    return rollout.is_decided and rollout.timings["switch_acknowledged_at"] is not None


def test_a_revoked_key_opens_nothing_once_that_is_acknowledged(live: Stack) -> None:
    leaked = issue(live, "leaked")
    with calling(live, leaked.text) as caller:
        assert caller.status() == Status.OK
        live.slipway.revoke_key(leaked.id)
        live.slipway.wait_for_key(leaked.id, timeout=live.lasting.within)
        assert caller.status() in {Status.PERMISSION_DENIED, Status.UNAUTHENTICATED}


def test_a_version_may_be_named_while_it_is_live(live: Stack, key: str) -> None:
    version, other = live.at_rest()
    with calling(live, key) as caller:
        assert caller.infer(asked(model_version=str(version))).model_version == str(version)
        assert caller.status(asked(model_version=str(other))) == Status.NOT_FOUND
        assert caller.status(asked(model_name="nobody")) == Status.NOT_FOUND
        assert caller.status(pb.ModelInferRequest()) == Status.NOT_FOUND


def test_the_name_of_the_model_is_found_wherever_it_stands(live: Stack, key: str) -> None:
    """Writers put it first; the protocol does not ask them to."""
    name = pb.ModelInferRequest(model_name=MODEL).SerializeToString()
    rest = asked(model_name="").SerializeToString()
    with calling(live, key) as caller:
        call = caller.channel.unary_unary(INFER)
        metadata = [("authorization", f"Bearer {key}")]
        assert call(rest + name, timeout=SECONDS, metadata=metadata)


def test_what_is_slipways_own_cannot_be_claimed_from_outside(live: Stack, key: str) -> None:
    """Neither to be counted as somebody else, nor not to be counted at all."""
    own = issue(live, "counted over gRPC")
    with calling(live, own.text) as caller:
        caller.infer(asked(), ("x-slipway-smoke", "1"), ("x-slipway-key", "key_of_another"))

    def used() -> int:
        return int(live.slipway.key(own.id).usage[0]["requests_today"])

    eventually(lambda: used() == 1, within=live.lasting.within, what="it counts towards its key")


def test_tools_find_their_way_without_a_key(live: Stack) -> None:
    with calling(live, "") as caller:
        ready = caller.channel.unary_unary("/inference.GRPCInferenceService/ServerReady")
        assert pb.ServerReadyResponse.FromString(ready(b"", timeout=SECONDS)).ready
        check = caller.channel.unary_unary("/grpc.health.v1.Health/Check")
        answer = health_pb2.HealthCheckResponse.FromString(check(b"", timeout=SECONDS))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflect = caller.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        (told,) = reflect(iter([question]), timeout=SECONDS)
    services = {service.name for service in told.list_services_response.service}
    assert "inference.GRPCInferenceService" in services


def test_a_message_over_the_limit_is_told_as_such(live: Stack, key: str) -> None:
    large = asked(raw_input_contents=[bytes(11 * 1024 * 1024)])
    with calling(live, key) as caller:
        assert caller.status(large) == Status.RESOURCE_EXHAUSTED
