"""Gateways that are not as they should be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.stack import ENVIRONMENT, Stack


@contextmanager
def absent_gateway(stack: Stack) -> Iterator[None]:
    """Registered inside, with no program behind it: no rollout can pass what needs the gateways."""
    row = {"environment": ENVIRONMENT, "name": "absent", "address": "http://127.0.0.1:9"}
    key = {"idempotency-key": os.urandom(8).hex()}
    made = stack.request("POST", "/gateways", row, **key)
    try:
        yield
    finally:
        stack.request("DELETE", f"/gateways/{made['id']}", **{"if-match": "*"})
