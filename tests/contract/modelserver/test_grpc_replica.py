"""A real replica with both of its ports: one readiness, one report, one end."""

from __future__ import annotations

import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from core.pki import Authority
from modelserver.pb import inference_pb2 as pb
from tests.contract.modelserver.grpc_harness import ANSWERS, SECONDS, refusal
from tests.contract.modelserver.server import (
    REPLICA,
    TOKEN,
    Replica,
    eventually,
    infer_request,
    rows,
    running,
)
from wire import identity
from wire.manifest import ReplicaTls

SERVICE = "/inference.GRPCInferenceService"


class Stub:
    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def ask(self, method: str, **fields: Any) -> Any:
        asked, answered = ANSWERS[method]
        call = self._channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
        return call(asked(**fields), timeout=SECONDS)

    def infer(self, count: int = 1) -> pb.ModelInferResponse:
        values = [value for row in rows(count) for value in row]
        tensor = {"name": "X", "datatype": "FP32", "shape": [count, 30]}
        tensor["contents"] = {"fp32_contents": values}
        answer: pb.ModelInferResponse = self.ask("ModelInfer", model_name="tumour", inputs=[tensor])
        return answer


@contextmanager
def over_grpc(replica: Replica) -> Iterator[Stub]:
    with grpc.insecure_channel(f"127.0.0.1:{replica.announced['grpc_port']}") as channel:
        yield Stub(channel)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with running(tmp_path_factory.mktemp("both"), grpc=True) as replica:
        yield replica


def test_a_replica_that_is_ready_answers_on_both_ports(tmp_path: Path) -> None:
    with running(tmp_path, grpc=True) as replica, over_grpc(replica) as stub:
        assert stub.ask("ServerReady").ready, "HTTP says ready only when gRPC is there"


def test_both_ports_give_the_same_predictions(both: Replica) -> None:
    with over_grpc(both) as stub, both.client() as client:
        told = stub.infer(5)
        said = client.post("/v2/models/tumour/infer", json=infer_request(rows(5))).json()
    label, probabilities = told.outputs
    by_name = {output["name"]: output for output in said["outputs"]}
    assert list(label.contents.int64_contents) == by_name["label"]["data"]
    flat = list(probabilities.contents.fp32_contents)
    assert flat == pytest.approx(by_name["probabilities"]["data"], rel=1e-6)


def test_one_report_counts_what_came_over_both(both: Replica) -> None:
    def counted(client: Any) -> tuple[int, int]:
        headers = {"authorization": f"Bearer {TOKEN}"}
        report = client.get("/telemetry/v1/report", headers=headers).json()
        return report["requests"]["2xx"], report["rows"]

    with over_grpc(both) as stub, both.client() as client:
        requests, total = counted(client)
        stub.infer(3)
        client.post("/v2/models/tumour/infer", json=infer_request(rows(4)))
        assert counted(client) == (requests + 2, total + 7)


def test_while_it_drains_it_is_not_ready_and_still_answers(tmp_path: Path) -> None:
    with running(tmp_path, grpc=True, drain_wait=60) as replica, over_grpc(replica) as stub:
        replica.signal(signal.SIGTERM)
        eventually(lambda: not stub.ask("ServerReady").ready)
        assert stub.infer().outputs
        replica.signal(signal.SIGTERM)  # in a hurry
        assert replica.process.wait(SECONDS) == 0
        status, _, _ = refusal(stub.infer)
        assert status == grpc.StatusCode.UNAVAILABLE


def test_who_keeps_a_call_open_does_not_hold_up_the_end(tmp_path: Path) -> None:
    silent = threading.Event()

    def nothing() -> Iterator[bytes]:
        silent.wait(SECONDS)
        yield from ()

    with running(tmp_path, grpc=True) as replica:
        address = f"127.0.0.1:{replica.announced['grpc_port']}"
        with grpc.insecure_channel(address) as channel:
            call = channel.stream_unary(f"{SERVICE}/ModelInfer").future(nothing())
            with over_grpc(replica) as stub:
                eventually(lambda: stub.infer().outputs)
            replica.signal(signal.SIGTERM)
            assert replica.process.wait(SECONDS) == 0
            assert refusal(lambda: call.result(SECONDS))[0] == grpc.StatusCode.UNAVAILABLE
            silent.set()


def test_a_renewed_certificate_is_shown_on_both_ports(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    name = identity.replica("staging", "rel_01JD0000000000000000000001", REPLICA)
    own = authority.issue(name, hours=1, names=["127.0.0.1"])
    tls = ReplicaTls(own.certificate, own.key, authority.pem)
    with running(tmp_path, grpc=True, tls=tls, wait_ready=False) as replica:
        ports = [replica.announced[each] for each in ("port", "grpc_port")]
        with httpx.Client(
            base_url=f"https://127.0.0.1:{ports[0]}",
            verify=authority.context_for(name),
            trust_env=False,
        ) as control_plane:
            eventually(lambda: control_plane.get("/v2/health/ready").status_code == 200)
            assert [_shown(port) for port in ports] == [own.certificate.split()] * 2
            presented = ssl.PEM_cert_to_DER_cert(own.certificate)
            renewed = authority.renew(presented, name, hours=2)
            answer = control_plane.put(
                "/telemetry/v1/certificate",
                content=renewed,
                headers={"authorization": f"Bearer {TOKEN}"},
            )
            assert answer.status_code == 200, answer.text
        assert [_shown(port) for port in ports] == [renewed.split()] * 2


def _shown(port: int) -> list[str]:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=SECONDS).split()
