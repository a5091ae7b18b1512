"""Names of headers between clients, gateways and replicas.

From outside come only the smoke headers, which need the secret. Everything that begins with
`x-slipway-` is said by a gateway to a replica; a gateway takes it off every request first, so that
a replica may believe what it reads.
"""

from __future__ import annotations

OURS = "x-slipway-"
"""What all headers begin with that only a gateway sets."""

SMOKE_MARKER = f"{OURS}smoke"
"""`1` at a replica: a smoke inference, which is nobody's traffic."""

KEY_HEADER = f"{OURS}key"
"""The public id of the key that was verified; absent where an endpoint is open."""

MODEL_HEADER = f"{OURS}model"
MODEL_VERSION_HEADER = f"{OURS}version"
"""What a gateway has read in a gRPC message; for its own routes, never for a replica."""

SMOKE_HEADER = "slipway-smoke"
SMOKE_RELEASE_HEADER = "slipway-release"

VERSION_HEADER = "x-model-version"
RELEASE_HEADER = "x-release"
PREDICTION_HEADER = "x-prediction-id"

ANSWERS_ONLY = (RELEASE_HEADER, VERSION_HEADER, PREDICTION_HEADER)
"""Said by us in answers; in a request they mean nothing."""

NEVER_UPSTREAM = (
    "authorization",
    "x-api-key",
    "cookie",
    SMOKE_HEADER,
    SMOKE_RELEASE_HEADER,
    MODEL_HEADER,
    MODEL_VERSION_HEADER,
    # A replica has no use for who the client is.
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-external-address",
)
"""Taken off after routing, right before a request leaves for a replica."""
