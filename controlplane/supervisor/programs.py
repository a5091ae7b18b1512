"""The programs of the embedded stack, as data: what runs, how it is asked whether it is well,
in which order it ends. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.supervisor.config import StackConfig

# Neither the browsable API nor Redoc is served; they are most of what there would be to hash.
COLLECT_STATIC = (
    *("collectstatic", "--noinput", "-v", "0"),
    *("--ignore", "rest_framework", "--ignore", "redoc"),
)

QUEUES = "build,rollout,monitor,govern"

# Stages of the stop, in order: first what starts new work, then what serves, then what all need.
STOP_WORK, STOP_WATCHING, STOP_SERVING, STOP_WEB, STOP_STORE = range(5)


@dataclass(frozen=True, slots=True)
class Program:
    """`ready_url` answers 200 once it can be used; `alive_url` answers anything while it lives."""

    name: str
    command: tuple[str, ...]
    stop_stage: int
    grace: float = 5.0
    environ: Mapping[str, str] = field(default_factory=dict)
    ready_url: str = ""
    alive_url: str = ""


def web(config: StackConfig) -> Program:
    return Program(
        "web",
        (
            *_module("controlplane.web"),
            *("--listen", f"127.0.0.1:{config.ports.web}"),
        ),
        STOP_WEB,
        ready_url=f"{config.web_url}/readyz",
        alive_url=f"{config.web_url}/livez",
    )


def worker(config: StackConfig) -> Program:
    return Program(
        "worker",
        (
            *_module("celery", "-A", "controlplane", "worker", "-Q", QUEUES),
            *("--concurrency", str(config.worker_concurrency), "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--hostname", "slipway@%h"),
        ),
        STOP_WORK,
        # A plain warm shutdown: what a worker leaves half done, the next start's sweep finds, so
        # a person who pressed Ctrl-C need not wait for the soft shutdown that machines get.
        environ={"REMAP_SIGTERM": ""},
        grace=6.0,
    )


def beat(config: StackConfig) -> Program:
    return Program(
        "beat",
        (
            *_module("celery", "-A", "controlplane", "beat", "--loglevel", "WARNING"),
            # An empty name: no file, which a kill -9 would leave behind and refuse the next start.
            *("--pidfile", "", "--schedule", str(config.run / "beat-schedule")),
        ),
        STOP_WORK,
    )


def collector(config: StackConfig) -> Program:
    del config
    return Program("collector", manage("collector"), STOP_WATCHING)


def gateway(config: StackConfig, environment: str, joined: Mapping[str, str]) -> Program:
    """`joined` is what registering it gave: its id and the file with its token."""
    listen = f"127.0.0.1:{config.ports.gateways[environment]}"
    return Program(
        f"gateway-{environment}",
        (
            *_module("controlplane.gateway_launcher", "--web", config.web_url, "--listen", listen),
            *("--state", str(config.home / "gateways" / environment), "--name", environment),
            *("--node-id", joined["id"], "--token-file", joined["token_file"]),
        ),
        STOP_SERVING,
        ready_url=f"http://{listen}/v2/health/live",
    )


def join_gateways(config: StackConfig) -> tuple[str, ...]:
    """The management command that registers what runs here: gateways and the process hosts."""
    addresses = (f"{name}=http://127.0.0.1:{port}" for name, port in config.ports.gateways.items())
    engine = ("--engine", config.engine) if config.engine else ()
    return ("bootstrap_embedded", *engine, *(w for it in addresses for w in ("--gateway", it)))


def manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(root() / "manage.py"), *arguments)


def shared_environment(config: StackConfig) -> dict[str, str]:
    """What every program gets; the settings of `controlplane.config` have the same names."""
    return {
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "PYTHONUNBUFFERED": "1",
        "SLIPWAY_HOME": str(config.home),
        "SLIPWAY_WEB_URL": config.web_url,
    }


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def root() -> Path:
    """The checkout: where manage.py is, and where every program runs."""
    return Path(__file__).resolve().parent.parent.parent
