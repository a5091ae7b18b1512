"""Slipway's Python SDK and its command line: a REST client like any other.

from cli import Client

with Client("http://127.0.0.1:8000", token) as slipway:
    version = slipway.push("tumour", Path("tumour.onnx"))
    rollout = slipway.deploy("tumour", version.number, environment="staging")
    slipway.wait(rollout.id)
"""

from __future__ import annotations

from cli.client import Client
from cli.errors import ApiProblem, SlipwayError, TimedOut, Unreachable
from cli.shapes import Endpoint, Key, Model, Operation, Rollout, Version

__all__ = [
    "ApiProblem",
    "Client",
    "Endpoint",
    "Key",
    "Model",
    "Operation",
    "Rollout",
    "SlipwayError",
    "TimedOut",
    "Unreachable",
    "Version",
]
