"""Every setting an operator may give, read once from the environment (`SLIPWAY_…`).

`NAME_FILE` works for secrets through a secrets folder; all mistakes are listed at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Config(BaseSettings):
    """Durations are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(env_prefix="SLIPWAY_", extra="ignore")

    profile: Literal["embedded", "production"] = "embedded"
    home: Path = Path("var")
    debug: bool = False

    database_url: str = Field(default="", description="postgresql://…; empty: SQLite in the home")
    redis_url: str = Field(default="redis://127.0.0.1:6379/0")
    web_url: str = Field(default="http://127.0.0.1:8000", description="where browsers reach web")
    allowed_hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    trusted_proxies: int = 0

    # Intake
    max_artifact_bytes: int = 2 * 1024**3
    inspect_memory_bytes: int = 4 * 1024**3
    inspect_cpu_seconds: int = 60
    inspect_wall_seconds: int = 90

    # Rollouts
    sweep_seconds: float = 2.0
    lease_seconds: float = 15.0
    observe_timeout_seconds: float = 5.0
    provision_seconds: float = 120.0
    progress_seconds: float = 600.0
    bake_seconds: float = 30.0
    production_bake_seconds: float = 300.0
    drain_seconds: float = 30.0
    smoke_timeout_seconds: float = 5.0
    host_silence_seconds: float = 15.0
    gateway_silence_seconds: float = 45.0

    # Replicas of process hosts
    replica_memory_bytes: int = 8 * 1024**3
    replica_drain_wait_seconds: float = 5.0
    # Tests point this at a stand-in program; production never sets it.
    allow_process_hosts: bool | None = Field(
        default=None, description="default: only in the embedded profile"
    )

    # xDS
    xds_hold_seconds: float = 20.0
    xds_check_seconds: float = 0.5

    # Collector
    probe_seconds: float = 0.2
    pull_seconds: float = 1.0
    pull_timeout_seconds: float = 2.0
    window_second_retention: float = 15 * 60
    window_minute_retention: float = 24 * 3600

    # API
    idempotency_hours: int = 24
    rate_limit_per_minute: int = 600
    rate_limit_writes_per_minute: int = 120

    @property
    def process_hosts_allowed(self) -> bool:
        if self.allow_process_hosts is not None:
            return self.allow_process_hosts and self.profile == "embedded"
        return self.profile == "embedded"


def load() -> Config:
    return Config()
