"""Where the embedded stack lives and on which ports, read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.supervisor.errors import CannotStart

ENVIRONMENTS = ("staging", "production")
LOCAL_ENGINE = "unix:///var/run/docker.sock"
_DEFAULT_PORTS = {"web": 8000, "staging": 8080, "production": 8081}


@dataclass(frozen=True, slots=True)
class Ports:
    web: int
    gateways: Mapping[str, int]

    def named(self) -> dict[str, int]:
        """Each port under the variable that changes it."""
        ports = {"SLIPWAY_WEB_PORT": self.web}
        ports |= {_gateway_variable(name): port for name, port in self.gateways.items()}
        return ports


@dataclass(frozen=True, slots=True)
class StackConfig:
    home: Path
    ports: Ports
    # Where replicas run in containers: this machine's Docker Engine. Empty: they are processes.
    engine: str = ""
    redis_url: str = ""
    worker_concurrency: int = 4
    log_cap_bytes: int = 20 * 1024**2
    free_bytes_needed: int = 500 * 1024**2

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.web}"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "log"


def from_environment(
    environ: Mapping[str, str] = os.environ, *, host: str = "process"
) -> StackConfig:
    """`host` is the kind of host that this machine is: `process` or `docker`.

    Raises CannotStart when a value is no port or no number.
    """
    return StackConfig(
        engine=(environ.get("DOCKER_HOST") or LOCAL_ENGINE) if host == "docker" else "",
        home=Path(environ.get("SLIPWAY_HOME") or "var").expanduser().resolve(),
        ports=Ports(
            web=_port(environ, "SLIPWAY_WEB_PORT", _DEFAULT_PORTS["web"]),
            gateways={
                name: _port(environ, _gateway_variable(name), _DEFAULT_PORTS[name])
                for name in ENVIRONMENTS
            },
        ),
        # DESIGN and Redis's own world say REDIS_URL; everything of Slipway's has the prefix.
        redis_url=environ.get("SLIPWAY_REDIS_URL") or environ.get("REDIS_URL") or "",
        worker_concurrency=_whole(environ, "SLIPWAY_WORKER_CONCURRENCY", 4, 1, 64),
    )


def _gateway_variable(environment: str) -> str:
    return f"SLIPWAY_GATEWAY_PORT_{environment.upper()}"


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    return _whole(environ, name, default, 1, 65535)


def _whole(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise CannotStart(
            f"{name}={text} is not a number from {low} to {high}: correct or unset it."
        )
    return int(text)
