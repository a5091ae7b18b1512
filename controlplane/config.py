"""Every setting an operator may give, read once from the environment (`SLIPWAY_…`).

What may hold a password can be in a file instead, named by `SLIPWAY_…_FILE`: an environment is
inherited by every program below. All mistakes are listed at once, and so is all that the production
profile refuses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from controlplane import production


class Config(BaseSettings):
    """Durations are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(env_prefix="SLIPWAY_", extra="ignore")

    profile: Literal["embedded", "production"] = Field(
        default="embedded",
        description="`production` refuses hosts of kind `process`, debug pages, plain connections"
        " and weak keys, and sends cookies over HTTPS only.",
    )
    home: Path = Field(
        default=Path("var"),
        description="The one folder of all state: database, artifacts, secrets, logs.",
    )
    debug: bool = Field(
        default=False,
        description="Show the cause of an error in the browser; ignored in production.",
    )

    # Addresses
    database_url: str = Field(
        default="", description="`postgresql://…`; empty: SQLite in `SLIPWAY_HOME`."
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Redis, for tasks and live pages. `make up` starts its own unless this is set.",
    )
    web_url: str = Field(
        default="http://127.0.0.1:8000", description="Where browsers and clients reach `web`."
    )
    allowed_hosts: list[str] = Field(
        default=["localhost", "127.0.0.1", "[::1]"],
        description="A JSON list of the host names under which `web` answers.",
    )
    trusted_proxies: int = Field(
        default=0,
        description="How many proxies before `web` are believed about the caller's address.",
    )

    # Transports; docs/how-to/tls.md
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with the certificate, and chain, that `web` shows; read again when it"
        " changes. Empty in production: one of the internal authority for the host of"
        " `SLIPWAY_WEB_URL`.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file with the key of `SLIPWAY_TLS_CERTIFICATE`."
    )
    behind_tls_proxy: bool = Field(
        default=False,
        description="A proxy before `web` does TLS, sets `X-Forwarded-Proto` itself and is the only"
        " one who reaches `web`, which then is plain.",
    )
    private_network: bool = Field(
        default=False,
        description="PostgreSQL and Redis are on a network that nobody else is on, such as"
        " docker-compose's own: production then connects to them plainly.",
    )
    gateway_authorities: Path | None = Field(
        default=None,
        description="PEM file of the authorities, besides the system's and Slipway's own, that the"
        " certificates of the gateways' listeners may be from.",
    )

    # Intake
    max_artifact_bytes: int = Field(
        default=2 * 1024**3, description="The largest file that may become a version."
    )
    inspect_memory_bytes: int = Field(
        default=4 * 1024**3, description="Memory for the process that inspects an uploaded model."
    )
    inspect_cpu_seconds: int = Field(
        default=60, description="Processor time for inspecting an uploaded model."
    )
    inspect_wall_seconds: int = Field(
        default=90, description="Time on the clock for inspecting an uploaded model."
    )

    # Rollouts
    sweep_seconds: float = Field(
        default=2.0, description="How often the sweep looks for rollouts that nobody woke."
    )
    lease_seconds: float = Field(
        default=15.0,
        description="How long an endpoint stays with a worker that has died.",
    )
    provision_seconds: float = Field(
        default=120.0, description="How long new replicas may take to become ready."
    )
    progress_seconds: float = Field(
        default=600.0, description="How long a rollout may stand still before it is taken back."
    )
    bake_seconds: float = Field(
        default=30.0,
        description="How long the old release stays warm after a switch. Read when `staging` is"
        " made; later the environment itself is changed.",
    )
    production_bake_seconds: float = Field(
        default=300.0, description="The same for `production`. Read when it is made."
    )
    drain_seconds: float = Field(
        default=30.0,
        description="How long a release without traffic may finish what it has. Read when the first"
        " environments are made.",
    )
    smoke_timeout_seconds: float = Field(
        default=5.0, description="How long a smoke inference may take."
    )
    host_silence_seconds: float = Field(
        default=15.0, description="After how long without an answer a host counts as silent."
    )
    gateway_silence_seconds: float = Field(
        default=45.0, description="After how long without a poll a gateway counts as silent."
    )

    # Replicas of process hosts
    replica_memory_bytes: int = Field(
        default=8 * 1024**3, description="Address space that a replica process may take."
    )
    replica_drain_wait_seconds: float = Field(
        default=5.0,
        description="How long a replica that was told to stop goes on answering, so that gateways"
        " notice before it closes.",
    )
    allow_process_hosts: bool | None = Field(
        default=None,
        description="`false` refuses hosts of kind `process` in the embedded profile too; nothing"
        " allows them in production.",
    )

    # Docker hosts
    host_timeout_seconds: float = Field(
        default=5.0, gt=0, description="How long a host may take to answer before it is silent."
    )
    allow_plain_tcp_hosts: bool = Field(
        default=False,
        description="Allow Docker Engines over TCP without TLS elsewhere than on loopback.",
    )
    ssh_config: str = Field(
        default="",
        description="A file for `ssh -F` that says with which key Docker Engines are reached over"
        " SSH, and which host keys are known; empty: the account's own files.",
    )
    base_image: str = Field(
        default="slipway/modelserver:0.1.0",
        description="The image that versions' images are built on; `make base-image` makes it.",
    )
    registry: str = Field(
        default="",
        description="`host:port/path` through which images reach hosts; empty: they are streamed"
        " from the host that built them.",
    )
    build_seconds: float = Field(default=900.0, gt=0, description="How long one build may take.")
    builds_at_once: int = Field(
        default=2,
        ge=1,
        description="How many images may be built or brought to hosts at once, by all workers.",
    )
    build_attempts: int = Field(
        default=3, ge=1, description="How often a build that failed is tried."
    )
    build_heartbeat_seconds: float = Field(
        default=5.0,
        gt=0,
        description="How often a worker says that it still builds; after six times that, another"
        " takes over.",
    )
    collect_seconds: float = Field(
        default=3600.0, gt=0, description="How often images that nothing needs are removed."
    )
    keep_images: int = Field(
        default=5, ge=1, description="How many images of an endpoint are kept on each host."
    )

    # Inner connections
    certificate_hours: float = Field(
        default=72.0,
        gt=0,
        description="How long the certificates of gateways and replicas are good for. Renewed when"
        " a third of it has passed.",
    )

    # Gateways
    xds_hold_seconds: float = Field(
        default=20.0,
        le=25.0,
        description="How long a gateway's poll is held when nothing has changed. At most 25:"
        " gateways give up after 30.",
    )
    xds_check_seconds: float = Field(
        default=0.5,
        gt=0,
        description="How often held polls look for a change by themselves, for when Redis is away.",
    )

    # Collector
    probe_seconds: float = Field(
        default=0.2, description="How often a starting replica is asked whether it is ready."
    )
    pull_seconds: float = Field(
        default=1.0, description="How often each replica's report is pulled."
    )
    pull_timeout_seconds: float = Field(
        default=2.0, description="How long one probe or pull may take."
    )
    window_second_retention: float = Field(
        default=15 * 60, description="How long windows of one second are kept."
    )
    window_minute_retention: float = Field(
        default=24 * 3600, description="How long windows of one minute are kept."
    )

    # API
    idempotency_hours: int = Field(
        default=24, description="How long the answer to an `Idempotency-Key` is kept."
    )
    rate_limit_per_minute: int = Field(
        default=600, description="Requests to the API that one caller may send in a minute."
    )
    rate_limit_writes_per_minute: int = Field(
        default=120, description="Requests that change something, of one caller in a minute."
    )

    @property
    def process_hosts_allowed(self) -> bool:
        if self.allow_process_hosts is not None:
            return self.allow_process_hosts and self.profile == "embedded"
        return self.profile == "embedded"


_WITH_PASSWORDS = ("database_url", "redis_url")


class Unfit(Exception):
    """Slipway must not start with these settings; `problems` are sentences that say why."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"Slipway does not start with these settings:\n{listed}")


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Raises Unfit: a value cannot be read, or production refuses it."""
    config = read(environ)
    if found := production.problems(config):
        raise Unfit(found)
    return config


def read(environ: Mapping[str, str] = os.environ) -> Config:
    """As they are, whether they are fit for production or not. Raises Unfit for what cannot be
    read."""
    files = {name: environ.get(f"SLIPWAY_{name.upper()}_FILE", "") for name in _WITH_PASSWORDS}
    try:
        contents: dict[str, Any] = {
            name: Path(path).read_text().strip() for name, path in files.items() if path
        }
        return Config(**contents)
    except OSError as problem:
        raise Unfit([f"{problem.filename} cannot be read: {problem.strerror}."]) from None
    except ValidationError as problem:
        # Without the value: it may be a password.
        wrong = problem.errors(include_input=False, include_url=False)
        raise Unfit(
            [f"SLIPWAY_{str(each['loc'][0]).upper()}: {each['msg']}." for each in wrong]
        ) from None
