"""One smoke inference through one gateway: the proof that a release can be reached there."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from deployments.domain.routing import RELEASE_HEADER, SMOKE_HEADER, SMOKE_RELEASE_HEADER

_EVIDENCE = 500


@dataclass(frozen=True, slots=True)
class SmokeAnswer:
    """`status` is None when nothing answered. `evidence` is what a person needs to understand a
    failure: the sentence of the error and the beginning of the answer; never the secret."""

    ok: bool
    status: int | None
    seconds: float
    evidence: str


def reach(
    gateway_address: str,
    endpoint: str,
    release_id: str,
    secret: str,
    sample: Mapping[str, Any],
    *,
    timeout: float = 5.0,
    client: httpx.Client | None = None,
) -> SmokeAnswer:
    """Send `sample` (an inference request) to `release_id` and to no other release.

    Reached means: 200, the gateway names this release as the one that answered, and there are
    outputs. Never raises for what the network does; takes `timeout` seconds at most per phase of
    the request.
    """
    base = gateway_address if "://" in gateway_address else f"http://{gateway_address}"
    headers = {SMOKE_HEADER: secret, SMOKE_RELEASE_HEADER: release_id}
    url = f"{base}/v2/models/{endpoint}/infer"
    began = time.perf_counter()
    try:
        if client is None:
            # The proxy settings of the environment are not meant for a gateway.
            with httpx.Client(timeout=timeout, trust_env=False, verify=_trusted(base)) as own:
                response = own.post(url, json=dict(sample), headers=headers)
        else:
            response = client.post(url, json=dict(sample), headers=headers, timeout=timeout)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
        sentence = f"{gateway_address}: {type(problem).__name__}: {problem}"
        return SmokeAnswer(False, None, time.perf_counter() - began, sentence[:_EVIDENCE])
    problem_found = _problem(response, release_id)
    return SmokeAnswer(
        ok=not problem_found,
        status=response.status_code,
        seconds=time.perf_counter() - began,
        evidence=problem_found or f"answered by {release_id}",
    )


def _trusted(base: str) -> ssl.SSLContext:
    if not base.startswith("https://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and costs nothing
    return _authorities(settings.AUTHORITY.pem, settings.CONFIG.gateway_authorities)


@lru_cache(maxsize=1)
def _authorities(own: str, named: Path | None) -> ssl.SSLContext:
    """A gateway's listener shows a certificate of ours, of an authority that the operator named, or
    of one that this machine trusts anyway; it has to be the gateway's host that it names. Kept:
    reading what a machine trusts takes as long as a smoke inference."""
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=own)
    if named:
        context.load_verify_locations(named)
    return context


def _problem(response: httpx.Response, release_id: str) -> str:
    beginning = response.text[:_EVIDENCE]
    if response.status_code != 200:
        return f"status {response.status_code}: {beginning}"
    answered = response.headers.get(RELEASE_HEADER, "")
    if answered != release_id:
        return f"answered by {answered or 'nobody that the gateway names'}, not by {release_id}"
    try:
        outputs = response.json().get("outputs")
    except (ValueError, AttributeError):
        return f"the answer is not an inference response: {beginning}"
    if not isinstance(outputs, list) or not outputs:
        return f"the answer has no outputs: {beginning}"
    return ""
