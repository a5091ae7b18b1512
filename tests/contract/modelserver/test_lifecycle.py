"""A replica's life as a process: from its manifest to its end."""

from __future__ import annotations

import base64
import json
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.contract.modelserver import server
from tests.contract.modelserver.server import (
    KEY,
    MODELS,
    eventually,
    infer_request,
    manifest_for,
    rows,
    running,
)
from wire import manifest as manifests
from wire.signature import Signature, TensorSpec

INFER = "/v2/models/tumour/infer"
FIRST = MODELS / "tumour-1.onnx"


def refused(folder: Path, blob: bytes, artifact: Path = FIRST) -> tuple[int, dict[str, Any]]:
    """The exit code and the last log line of a replica that must not start."""
    process, _, log = server.spawn(folder, blob, artifact)
    code = process.wait(timeout=20)
    lines = log.read_text().splitlines()
    said = [json.loads(line) for line in lines if '"code"' in line]
    return code, said[-1]


def test_it_announces_where_it_listens_and_who_it_is(tmp_path: Path) -> None:
    with running(tmp_path) as replica:
        assert set(replica.announced) == {"address", "port", "pid", "boot_id"}
        assert replica.announced["pid"] == replica.process.pid
        assert [p.name for p in tmp_path.iterdir() if "announce" in p.name] == ["announce.json"]


def test_without_a_manifest_it_does_not_start(tmp_path: Path) -> None:
    code, said = refused(tmp_path, b"")
    assert (code, said["event"], said["code"]) == (3, "manifest-refused", "manifest:empty")
    assert not (tmp_path / "announce.json").exists()


def _signed_by_mallory() -> bytes:
    return manifests.sign(manifest_for(FIRST), Ed25519PrivateKey.generate())


def _altered() -> bytes:

    envelope = json.loads(manifests.sign(manifest_for(FIRST), KEY))
    payload = base64.b64decode(envelope["payload"]).replace(b"staging", b"stagimg")
    return json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}).encode()


def _expired() -> bytes:
    return manifests.sign(manifest_for(FIRST, issued_at=1, expires_at=2), KEY)


def _for_another_replica() -> bytes:
    return manifests.sign(manifest_for(FIRST, replica="rep_01JD0000000000000000000009"), KEY)


def _for_another_artifact() -> bytes:
    return manifests.sign(manifest_for(MODELS / "tumour-2.onnx"), KEY)


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (_signed_by_mallory, "manifest:bad-signature"),
        (_altered, "manifest:bad-signature"),
        (_expired, "manifest:expired"),
        (_for_another_replica, "manifest:other-replica"),
        (_for_another_artifact, "artifact:digest-mismatch"),
    ],
)
def test_a_manifest_that_is_not_its_own_is_refused(
    tmp_path: Path, blob: Callable[[], bytes], expected: str
) -> None:
    code, said = refused(tmp_path, blob())
    assert (code, said["event"], said["code"]) == (3, "manifest-refused", expected)


def test_a_batch_size_baked_into_the_graph_is_found_by_the_warm_up(tmp_path: Path) -> None:
    artifact = MODELS / "tumour-3.onnx"
    code, said = refused(tmp_path, manifests.sign(manifest_for(artifact), KEY), artifact)
    assert (code, said["event"], said["code"]) == (4, "model-load-failed", "model:warm-up-failed")
    assert "answers 1 row but fails on 4" in said["message"]


def test_a_file_that_is_no_model_is_a_failed_load(tmp_path: Path) -> None:
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(b"no model at all")
    code, said = refused(tmp_path, manifests.sign(manifest_for(artifact), KEY), artifact)
    assert (code, said["code"]) == (4, "model:load-failed")


def test_a_model_with_another_signature_than_registered_is_a_failed_load(tmp_path: Path) -> None:
    other = Signature((TensorSpec("X", "FP32", (-1, 31)),), server.TUMOUR.outputs)
    blob = manifests.sign(replace(manifest_for(FIRST), signature=other), KEY)
    code, said = refused(tmp_path, blob)
    assert (code, said["code"]) == (4, "model:other-signature")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_not_ready_before_it_stops_serving(tmp_path: Path, number: int) -> None:
    with running(tmp_path, drain_wait=1.0) as replica, replica.client() as client:
        replica.signal(number)
        eventually(lambda: client.get("/v2/health/ready").status_code == 503)
        answer = client.post(INFER, json=infer_request(rows(1)))
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert replica.process.poll() is None
        assert replica.process.wait(timeout=10) == 0
        with pytest.raises(httpx.ConnectError):
            client.get("/v2/health/live")
    assert [e["event"] for e in replica.events()][-3:] == ["signal", "draining", "stopped"]


def test_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    with running(tmp_path, drain_wait=60.0) as replica:
        replica.signal(signal.SIGTERM)
        eventually(lambda: replica.events()[-1]["event"] == "draining")
        replica.signal(signal.SIGTERM)
        assert replica.process.wait(timeout=10) == 0


def test_a_request_in_flight_is_finished_before_the_end(tmp_path: Path) -> None:
    body = json.dumps(infer_request(rows(1))).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: replica\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    with running(tmp_path, drain_wait=0.0) as replica:
        address = (replica.announced["address"], replica.announced["port"])
        with socket.create_connection(address) as connection:
            connection.sendall(head + body[:10])
            # Answered on the same loop after the half request above, so that one has arrived.
            eventually(replica.ready)
            replica.signal(signal.SIGTERM)
            eventually(lambda: replica.events()[-1]["event"] == "draining")
            connection.sendall(body[10:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert replica.process.wait(timeout=10) == 0


def test_traffic_is_all_answered_while_it_waits_for_the_gateway(tmp_path: Path) -> None:
    statuses: list[int] = []
    enough = threading.Event()

    def ask(replica: server.Replica) -> None:
        with replica.client() as client:
            while not enough.is_set():
                statuses.append(client.post(INFER, json=infer_request(rows(1))).status_code)

    with running(tmp_path, drain_wait=60.0) as replica:
        askers = [threading.Thread(target=ask, args=(replica,)) for _ in range(2)]
        for asker in askers:
            asker.start()
        eventually(lambda: len(statuses) > 10)
        replica.signal(signal.SIGTERM)
        eventually(lambda: replica.events()[-1]["event"] == "draining")
        before = len(statuses)
        eventually(lambda: len(statuses) > before + 10)
        enough.set()
        for asker in askers:
            asker.join()
        replica.signal(signal.SIGTERM)
        assert replica.process.wait(timeout=10) == 0
    assert set(statuses) == {200}


def test_a_killed_replica_comes_back_as_another_boot(tmp_path: Path) -> None:
    with running(tmp_path) as replica:
        replica.signal(signal.SIGKILL)
        assert replica.process.wait(timeout=10) == -signal.SIGKILL
        first = replica.announced["boot_id"]
    # Its announcement is still there; the next one must not be taken for it.
    assert (tmp_path / "announce.json").exists()
    with running(tmp_path) as replica:
        assert replica.announced["boot_id"] != first


def test_nothing_secret_is_in_its_logs_or_on_its_command_line(tmp_path: Path) -> None:
    with running(tmp_path) as replica, replica.client() as client:
        client.post(INFER, json=infer_request([[float("123456.75")] * 30]))
        told = Path(f"/proc/{replica.process.pid}/cmdline").read_bytes()
        told += Path(f"/proc/{replica.process.pid}/environ").read_bytes()
    told += replica.log.read_bytes()
    assert server.TOKEN.encode() not in told
    assert b"123456.75" not in told
