"""Gateways besides the one that every stack has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.integration.stack import ENVIRONMENT, MODEL, Stack
from tests.running import ROOT, eventually, free_ports


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


@contextmanager
def second_gateway(stack: Stack, folder: Path) -> Iterator[str]:
    """A real one beside the stack's own, in the same environment: where to ask it. As everybody
    does who runs more than one."""
    [port] = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    row = {"environment": ENVIRONMENT, "name": "second", "address": base}
    made = stack.request("POST", "/gateways", row, **{"idempotency-key": os.urandom(8).hex()})
    token = folder / "token"
    token.write_text(made["token"])
    token.chmod(0o600)
    words = ["--web", stack.web_url, "--listen", f"127.0.0.1:{port}", "--state", str(folder)]
    words += ["--token-file", str(token), "--node-id", made["id"], "--name", "second"]
    launcher = subprocess.Popen(
        [sys.executable, "-m", "controlplane.gateway_launcher", *words],
        cwd=ROOT,
        env=stack.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(base), within=stack.lasting.within, what="the second answers")
        yield f"{base}/v2/models/{MODEL}/infer"
    finally:
        launcher.terminate()
        launcher.wait(30)
        stack.request("DELETE", f"/gateways/{made['id']}", **{"if-match": "*"})


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/v2/health/live", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
