"""Who may ask an endpoint, how often and how much: what the gateway's filters are told per route.

The filters stand in the launcher's bootstrap, in this order:

1. `KEYS` verifies a key (signature, issuer, environment, expiry) and says which it is in a header
   that nobody outside can set.
2. `GRPC_BODY` and `MODEL` take in a gRPC message and read which model it means, whereupon the route
   is looked for again. Only on gRPC routes.
3. `ACCESS` admits the keys that the endpoint names. Without a word of the route it admits nobody,
   so a route that was forgotten here is closed.
4. `RATE` and `QUOTA` refuse a key that asks too often.
5. `BODY` takes in the whole request before a replica hears of it: a client that trickles holds
   nobody but itself, and one that sends too much is refused.

The allow-list is a hash map, and so are the limits: their cost does not grow with the keys.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployments.domain import gateways
from deployments.domain.routing_headers import KEY_HEADER
from deployments.domain.routing_inputs import EndpointRoute
from deployments.domain.routing_shapes import Resource, header, of_header, typed

KEYS = gateways.KEYS
GRPC_BODY = "slipway.grpc-body"
MODEL = "slipway.model"
ACCESS = "slipway.access"
RATE = "slipway.rate"
QUOTA = "slipway.quota"
BODY = "slipway.body"

A_KEY = "a-key"
A_KEY_IF_ANY = "a-key-if-any"
"""What `KEYS` can be asked for; without either it does nothing."""

SCRIPT = "model-of-the-message"
"""The name of the script that `MODEL` runs."""

UNLIMITED = 2**32 - 1
_RBAC = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
_RBAC_ACTION = "envoy.config.rbac.v3.Action"
_JWT = "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig"
_RATE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_BUFFER = "envoy.extensions.filters.http.buffer.v3.BufferPerRoute"
_LUA = "envoy.extensions.filters.http.lua.v3.LuaPerRoute"
_FILTER = "envoy.config.route.v3.FilterConfig"
_ALL = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def for_everybody() -> Resource:
    """Filters of a route that needs no key."""
    return {ACCESS: typed(_RBAC)}


def of_endpoint(endpoint: EndpointRoute, quota_resets_at: str) -> Resource:
    """Filters of an endpoint's routes over HTTP."""
    found = of_endpoint_by_message(endpoint, quota_resets_at)
    if not endpoint.is_open:
        found[KEYS] = typed(_JWT, requirement_name=A_KEY)
    return found | {BODY: body(endpoint.max_body_bytes)}


def of_endpoint_by_message(endpoint: EndpointRoute, quota_resets_at: str) -> Resource:
    """Filters of an endpoint's routes over gRPC: key and message were read before."""
    if endpoint.is_open:
        return for_everybody()
    grants = sorted(endpoint.keys, key=lambda grant: grant.key_id)
    found = {ACCESS: _only(grant.key_id for grant in grants)}
    limits = {
        grant.key_id: _per_minute(grant.requests_per_minute)
        for grant in grants
        if grant.requests_per_minute is not None
    }
    if limits:
        found[RATE] = _limit("rate", limits, enable_retry_after_header=True)
    used_up = [grant.key_id for grant in grants if grant.exhausted]
    if used_up:
        found[QUOTA] = _refused(used_up, quota_resets_at)
    return found


def of_message(*, key_needed: bool, max_body_bytes: int) -> Resource:
    """Filters of a gRPC call until it is known which model it means. What may follow on the routes
    that it is led to must be in its chain from here on, so `RATE` and `QUOTA` are, idly."""
    return {
        KEYS: typed(_JWT, requirement_name=A_KEY if key_needed else A_KEY_IF_ANY),
        GRPC_BODY: body(max_body_bytes),
        MODEL: typed(_FILTER, config=typed(_LUA, name=SCRIPT)),
        RATE: _limit("rate", {}),
        QUOTA: _limit("quota", {}),
    }


def at_most(per_second: int) -> Resource:
    """For calls without a key that reach a replica."""
    bucket = {"max_tokens": 2 * per_second, "tokens_per_fill": per_second, "fill_interval": "1s"}
    limited = {**_limit("open", {}), "token_bucket": bucket}
    return {**for_everybody(), RATE: {**limited, "enable_retry_after_header": True}}


def body(max_bytes: int) -> Resource:
    return typed(_BUFFER, buffer={"max_request_bytes": max_bytes})


def _only(key_ids: Iterable[str]) -> Resource:
    """Nobody, if there are none."""
    nobody = {"on_no_match": _action("DENY")}
    admitted = {each: _action("ALLOW") for each in key_ids}
    if not admitted:
        return typed(_RBAC, rbac={"matcher": nobody})
    tree = {"input": of_header(KEY_HEADER), "exact_match_map": {"map": admitted}}
    return typed(_RBAC, rbac={"matcher": {"matcher_tree": tree, **nobody}})


def _action(action: str) -> Resource:
    told = typed(_RBAC_ACTION, name=action.lower(), action=action)
    return {"action": {"name": action.lower(), "typed_config": told}}


def _limit(
    name: str, buckets: dict[str, Resource], *, costs: int | None = None, **more: object
) -> Resource:
    """One bucket for each of these keys and none for others. Envoy fills a bucket steadily, not
    once per interval; a change of routes fills it up."""
    taken: Resource = {
        "actions": [{"request_headers": {"header_name": KEY_HEADER, "descriptor_key": "key"}}]
    }
    if costs is not None:
        taken["hits_addend"] = {"number": costs}
    return typed(
        _RATE,
        stat_prefix=name,
        filter_enabled=_ALL,
        filter_enforced=_ALL,
        rate_limited_as_resource_exhausted=True,
        always_consume_default_token_bucket=False,
        token_bucket={
            "max_tokens": UNLIMITED,
            "tokens_per_fill": UNLIMITED,
            "fill_interval": "1s",
        },
        rate_limits=[taken],
        descriptors=[
            {"entries": [{"key": "key", "value": each}], "token_bucket": bucket}
            for each, bucket in buckets.items()
        ],
        **more,
    )


def _per_minute(requests: int) -> Resource:
    return {"max_tokens": requests, "tokens_per_fill": requests, "fill_interval": "60s"}


def _refused(key_ids: Iterable[str], resets_at: str) -> Resource:
    """Each request costs two of a bucket that never holds more than one."""
    empty = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "86400s"}
    told = {"response_headers_to_add": [header("retry-after", resets_at)]} if resets_at else {}
    return _limit("quota", dict.fromkeys(key_ids, empty), costs=2, **told)
