"""Two models behind the gateway, and a key for both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.integration.clients import models
from tests.integration.stack import ENVIRONMENT, MODEL, MODELS, TEAM, Stack
from tests.plugin_tiers import need

MIXED = "mixed"
ROWS = 3


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the programs are told: `programs.checks.Target`. On a stack of its own: the one that all
    share has one endpoint, and counts its replicas."""
    for each in ("redis", "envoy", "clients"):
        need(each)
    with Stack(tmp_path_factory.mktemp("clients")) as stack:
        version, _ = stack.at_rest()
        _deploy_mixed(stack, tmp_path_factory.mktemp("mixed"))
        key = stack.slipway.issue_key("clients of others", MODEL, MIXED, environment=ENVIRONMENT)
        stack.slipway.wait_for_key(key.id, timeout=stack.lasting.within)
        address = stack.gateways[ENVIRONMENT]
        yield {
            "http": address,
            "grpc": address.partition("://")[2],
            "key": key.text,
            "table": MODEL,
            "version": str(version),
            "mixed": MIXED,
        } | _expected(version)


def _deploy_mixed(stack: Stack, folder: Path) -> None:
    slipway = stack.slipway
    slipway.create_model(MIXED, team=TEAM)
    file = folder / "mixed.onnx"
    file.write_bytes(models.mixed())
    slipway.push(MIXED, file)
    strategy = {"kind": "blue-green", "bake_seconds": 0}
    rollout = slipway.deploy(MIXED, 1, environment=ENVIRONMENT, replicas=1, strategy=strategy)
    assert stack.finished(rollout).outcome == "promoted"


def _expected(version: int) -> dict[str, Any]:
    """Some rows, and what ONNX Runtime says of them when nobody is in between."""
    rows = json.loads((MODELS / "rows.json").read_text())["rows"][:ROWS]
    session = onnxruntime.InferenceSession(MODELS / f"{MODEL}-{version}.onnx")
    labels, probabilities = session.run(None, {"X": np.array(rows, np.float32)})
    return {
        "rows": rows,
        "labels": labels.tolist(),
        "probabilities": probabilities.tolist(),
    }
