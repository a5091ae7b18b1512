"""One smoke inference straight to a replica, before any gateway knows it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import Any

import httpx

from deployments.adapters.gateway_smoke import SmokeAnswer
from deployments.domain.routing import SMOKE_MARKER

_EVIDENCE = 500


def ask(
    address: str,
    port: int,
    endpoint: str,
    sample: Mapping[str, Any],
    *,
    context: ssl.SSLContext,
    timeout: float,
) -> SmokeAnswer:
    """Send `sample` and expect outputs. `context` refuses whoever is not the replica that is meant.
    Never raises for what the network or the replica does."""
    began = time.perf_counter()
    url = f"https://{address}:{port}/v2/models/{endpoint}/infer"
    try:
        # The proxy settings of the environment are not meant for a replica.
        with httpx.Client(timeout=timeout, trust_env=False, verify=context) as client:
            response = client.post(url, json=dict(sample), headers={SMOKE_MARKER: "1"})
    except httpx.HTTPError as problem:
        sentence = f"{type(problem).__name__}: {problem}"
        return SmokeAnswer(False, None, time.perf_counter() - began, sentence[:_EVIDENCE])
    ok = response.status_code == 200 and bool(_outputs(response))
    return SmokeAnswer(
        ok=ok,
        status=response.status_code,
        seconds=time.perf_counter() - began,
        evidence="" if ok else f"status {response.status_code}: {response.text[:_EVIDENCE]}",
    )


def _outputs(response: httpx.Response) -> object:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer.get("outputs") if isinstance(answer, dict) else None
