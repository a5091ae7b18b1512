"""The words of Envoy's configuration that clusters, routes and the launcher's bootstrap share."""

from __future__ import annotations

from typing import Any, TypeAlias

Resource: TypeAlias = dict[str, Any]

_TYPE = "type.googleapis.com/"
HEADER_INPUT = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def typed(kind: str, **fields: Any) -> Resource:
    """A message of this kind where Envoy takes any."""
    return {"@type": _TYPE + kind, **fields}


def extension(name: str, kind: str, **fields: Any) -> Resource:
    return {"name": name, "typed_config": typed(kind, **fields)}


def header(key: str, value: str) -> Resource:
    """Set, whatever was there."""
    return {
        "header": {"key": key, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def of_header(name: str) -> Resource:
    """What a matcher looks at: a header of the request."""
    return extension(name.strip(":"), HEADER_INPUT, header_name=name)
