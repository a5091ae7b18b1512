"""The Open Inference Protocol as a client on the network sees it."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.types import InferenceRequest

from tests.contract.modelserver.server import TOKEN, Replica, eventually, infer_request, rows
from wire.report import Report, difference

INFER = "/v2/models/tumour/infer"


def report(client: httpx.Client) -> Report:
    answer = client.get("/telemetry/v1/report", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return Report.from_json(answer.json())


def test_the_metadata_says_what_the_model_takes(client: httpx.Client) -> None:
    assert client.get("/v2").json() == {
        "name": "slipway",
        "version": "0.1.0",
        "extensions": ["binary_tensor_data"],
    }
    assert (
        client.get("/v2/models/tumour").json() == client.get("/v2/models/tumour/versions/1").json()
    )
    assert client.get("/v2/models/tumour").json() == {
        "name": "tumour",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"live": True, "ready": True}),
        ("/v2/models/tumour/ready", {"name": "tumour", "ready": True}),
        ("/v2/models/tumour/versions/1/ready", {"name": "tumour", "ready": True}),
    ],
)
def test_health_is_answered(client: httpx.Client, path: str, said: dict[str, Any]) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, said)


@pytest.mark.parametrize("path", [INFER, "/v2/models/tumour/versions/1/infer"])
def test_real_rows_are_predicted(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json=infer_request(rows(3), id="alice-1"))
    assert answer.status_code == 200
    said = answer.json()
    assert (said["model_name"], said["model_version"], said["id"]) == ("tumour", "1", "alice-1")
    label, probabilities = said["outputs"]
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "INT64", [3])
    assert probabilities["shape"] == [3, 2]
    pairs = zip(probabilities["data"][::2], probabilities["data"][1::2], strict=True)
    assert [int(malignant < benign) for malignant, benign in pairs] == label["data"]


def test_the_open_inference_client_gets_a_prediction(replica: Replica) -> None:
    with replica.client() as connection:
        client = OpenInferenceClient(base_url=replica.url, httpx_client=connection)
        check_with(client)


def check_with(client: OpenInferenceClient) -> None:
    client.check_server_readiness()
    assert client.read_model_metadata("tumour").platform == "onnx_onnxv1"
    prediction = client.model_infer("tumour", request=InferenceRequest(**infer_request(rows(2))))
    assert prediction.model_name == "tumour"
    assert [output.shape for output in prediction.outputs] == [[2], [2, 2]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/other/infer", 404),
        ("/v2/models/tumour/versions/2/infer", 404),
        ("/v2/models/tumour/versions/1/infer/", 404),
        ("/elsewhere", 404),
    ],
)
def test_what_is_not_here_is_not_found(client: httpx.Client, path: str, status: int) -> None:
    answer = client.post(path, json=infer_request(rows(1)))
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_wrong_method_is_told_the_right_one(client: httpx.Client) -> None:
    answer = client.get(INFER)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = client.post("/v2/models/tumour", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "text/plain", "inference-header-content-length": "2"},
    ],
)
def test_only_what_is_said_to_be_json_or_binary_is_read(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    answer = client.post(INFER, content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert set(answer.json()) == {"error"}


def test_an_announced_large_body_is_refused_before_it_is_sent(replica: Replica) -> None:
    request = (
        f"POST {INFER} HTTP/1.1\r\nHost: replica\r\nContent-Type: application/json\r\n"
        f"Content-Length: {11 * 1024 * 1024}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(
        (replica.announced["address"], replica.announced["port"])
    ) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in answer


def test_a_large_body_that_comes_all_the_same_is_answered_and_not_reset(replica: Replica) -> None:
    size = 30 * 1024 * 1024
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: replica\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(
        (replica.announced["address"], replica.announced["port"])
    ) as connection:
        connection.sendall(head.encode())
        connection.sendall(b" " * size)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413")


def test_an_unannounced_large_body_is_refused_while_it_streams(client: httpx.Client) -> None:
    chunk = b" " * (1024 * 1024)
    answer = client.post(
        INFER, content=(chunk for _ in range(12)), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


def test_telemetry_needs_the_replicas_token(client: httpx.Client) -> None:
    path = "/telemetry/v1/report"
    for given in ({}, {"authorization": "Bearer mallory"}, {"authorization": f"Basic {TOKEN}"}):
        answer = client.get(path, headers=given)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_telemetry_counts_users_requests_and_nothing_else(client: httpx.Client) -> None:
    before = report(client)
    client.get("/v2/health/ready")
    client.get("/v2/models/tumour")
    client.post(INFER, json=infer_request(rows(5)))
    client.post(INFER, content=b"{", headers={"content-type": "application/json"})
    client.post(INFER, json=infer_request(rows(2)), headers={"x-slipway-smoke": "1"})
    # The last answer may be read before its request is counted.
    eventually(lambda: report(client).counts.smoke > before.counts.smoke)
    later = report(client)
    counts = difference(later, before).counts
    assert counts.requests == {"2xx": 1, "4xx": 1, "5xx": 0}
    assert counts.refused == {"request:not-json": 1}
    assert (counts.rows, counts.smoke) == (5, 1)
    assert (counts.latency.total.count, counts.latency.inference.count) == (2, 1)
    assert (later.ready, later.in_flight) == (True, 0)
    assert later.process.rss_bytes > 10_000_000
