"""What the path of a request names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

TELEMETRY_PATH = "/telemetry/v1/report"
CERTIFICATE_PATH = "/telemetry/v1/certificate"


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names.

    `what` is live, ready, server, report, certificate, model, model-ready, infer or nothing. What
    is `counted` is a request of a user's: probes, metadata and telemetry are none.
    """

    what: str
    model: str = ""
    version: str | None = None
    method: bytes = b"GET"
    counted: bool = False


NOTHING = Target("nothing", counted=True)
_FIXED = {
    "/v2": Target("server"),
    "/v2/health/live": Target("live"),
    "/v2/health/ready": Target("ready"),
    TELEMETRY_PATH: Target("report"),
    CERTIFICATE_PATH: Target("certificate", method=b"PUT"),
}
_OF_A_MODEL = {
    (): ("model", b"GET"),
    ("ready",): ("model-ready", b"GET"),
    ("infer",): ("infer", b"POST"),
}


@lru_cache(maxsize=256)
def resolve(url: bytes) -> Target:
    """Of a request's target, which llhttp has seen to be plain ASCII."""
    path = url.decode("latin-1").partition("?")[0]
    if not path.startswith("/"):  # http://host/path, as proxies are asked
        path = "/" + path.partition("://")[2].partition("/")[2]
    if "%" in path:
        path = unquote(path)
    target = _FIXED.get(path)
    if target is not None:
        return target
    parts = path.split("/")
    if len(parts) < 4 or parts[:3] != ["", "v2", "models"] or not parts[3]:
        return NOTHING
    rest = parts[4:]
    version = None
    if len(rest) >= 2 and rest[0] == "versions":
        version, rest = rest[1], rest[2:]
    found = _OF_A_MODEL.get(tuple(rest))
    if found is None:
        return NOTHING
    what, method = found
    return Target(what, parts[3], version, method, counted=what == "infer")
