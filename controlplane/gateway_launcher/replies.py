"""What clients are told when it is the gateway that refuses: JSON like a replica's over HTTP, a
gRPC status over gRPC. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.domain.routing_headers import KEY_HEADER
from deployments.domain.routing_shapes import Resource, header

_ITS_OWN = "%LOCAL_REPLY_BODY%"
_NO_KEY = "a valid key is needed: `Authorization: Bearer <key>` or `x-api-key: <key>`"
_RUNTIME = "slipway.unused"


@dataclass(frozen=True, slots=True)
class _Rule:
    """From `status` on, or of exactly `status`, what is said. Envoy knows the gRPC status of most
    refusals itself."""

    status: int
    sentence: str
    exactly: bool = True
    unverified: bool = False
    becomes: int | None = None
    grpc_status: str = ""

    def mappers(self) -> list[Resource]:
        is_status = {
            "status_code_filter": {
                "comparison": {
                    "op": "EQ" if self.exactly else "GE",
                    "value": {"default_value": self.status, "runtime_key": _RUNTIME},
                }
            }
        }
        conditions = [is_status] + ([_UNVERIFIED] if self.unverified else [])
        told: Resource = {"status_code": self.becomes} if self.becomes else {}
        more = [header("grpc-status", self.grpc_status)] if self.grpc_status else []
        return [
            {
                **told,
                "filter": {"and_filter": {"filters": [*conditions, _OVER_GRPC]}},
                "body_format_override": {"text_format_source": {"inline_string": self.sentence}},
                "headers_to_add": more,
            },
            {
                **told,
                "filter": {"and_filter": {"filters": [*conditions, _OVER_ANYTHING]}},
                "body_format_override": {"json_format": {"error": self.sentence}},
            },
        ]


def _header_filter(name: str, **how: object) -> Resource:
    return {"header_filter": {"header": {"name": name, **how}}}


_UNVERIFIED = _header_filter(KEY_HEADER, present_match=True, invert_match=True)
_OVER_GRPC = _header_filter("content-type", string_match={"prefix": "application/grpc"})
_OVER_ANYTHING = _header_filter(":method", present_match=True)

# The first that matches counts.
_RULES = (
    # Whoever is refused without a verified key has shown none that is ours: over gRPC that is only
    # known once the message was read, and a key of another environment Envoy calls forbidden.
    _Rule(403, _NO_KEY, unverified=True, becomes=401),
    _Rule(403, "this key does not open this endpoint, or was revoked"),
    _Rule(401, f"{_NO_KEY} ({_ITS_OWN})"),
    _Rule(429, "too many requests: see Retry-After"),
    _Rule(413, "the request is larger than this endpoint takes", grpc_status="8"),
    _Rule(408, _ITS_OWN, grpc_status="4"),
    _Rule(504, _ITS_OWN, grpc_status="4"),
    _Rule(400, _ITS_OWN, exactly=False),
)


def local_replies() -> Resource:
    return {"mappers": [mapper for rule in _RULES for mapper in rule.mappers()]}
