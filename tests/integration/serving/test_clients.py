"""Clients that others wrote get predictions through the gateway."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.types import InferenceRequest

from tests.integration.stack import ENVIRONMENT, MODEL, MODELS, Stack

pytestmark = pytest.mark.needs("redis", "envoy")


def rows(count: int) -> list[list[float]]:
    found: list[list[float]] = json.loads((MODELS / "rows.json").read_text())["rows"]
    return found[:count]


@pytest.fixture
def inference(stack: Stack) -> Iterator[OpenInferenceClient]:
    stack.at_rest()
    with httpx.Client(headers=stack.key_header, trust_env=False, timeout=10.0) as transport:
        yield OpenInferenceClient(base_url=stack.gateways[ENVIRONMENT], httpx_client=transport)


def test_the_open_inference_client_gets_predictions(
    stack: Stack, inference: OpenInferenceClient
) -> None:
    stack.at_rest()
    inference.check_server_liveness()
    inference.check_server_readiness()
    inference.check_model_readiness(MODEL)
    expected = {each.name: each for each in inference.read_model_metadata(MODEL).inputs or []}
    assert expected["X"].datatype == "FP32"
    asked = rows(3)
    answer = inference.model_infer(MODEL, request=request_of(asked))
    labels = {each.name: each for each in answer.outputs}["label"]
    assert labels.shape == [len(asked)]
    assert set(labels.data.__root__) <= {0, 1}


def test_the_open_inference_client_may_name_the_version(
    stack: Stack, inference: OpenInferenceClient
) -> None:
    version, other = stack.at_rest()
    inference.check_model_version_readiness(MODEL, str(version))
    answer = inference.model_version_infer(MODEL, str(version), request=request_of(rows(1)))
    assert answer.model_version == str(version)
    with pytest.raises(ApiError) as refused:
        inference.model_version_infer(MODEL, str(other), request=request_of(rows(1)))
    assert refused.value.status_code == 404, "only what is live has an address of its own"


def test_curl_gets_a_prediction(stack: Stack) -> None:
    version, _ = stack.at_rest()
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 30], "data": rows(1)[0]}
    said = subprocess.run(
        [
            *("curl", "--silent", "--fail", "--include", "--noproxy", "*", stack.infer_url),
            *("--json", json.dumps({"inputs": [tensor]})),
            *("--header", f"authorization: Bearer {stack.key_file.read_text()}"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    head, _, answer = said.replace("\r\n", "\n").partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.lower().splitlines()[1:])
    assert headers["x-model-version"] == str(version)
    assert headers["x-release"].startswith("rel_")
    assert json.loads(answer)["outputs"]


def request_of(asked: list[list[float]]) -> InferenceRequest:
    tensor = {
        "name": "X",
        "datatype": "FP32",
        "shape": [len(asked), len(asked[0])],
        "data": [value for row in asked for value in row],
    }
    return InferenceRequest.parse_obj({"inputs": [tensor]})
