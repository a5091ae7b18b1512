"""The durations that hold where an operator says nothing."""

from __future__ import annotations

import pytest

from controlplane.config import load
from deployments.domain.strategies import parse
from monitoring.collector.watch import NEEDED_STREAK

DEFAULTS = {
    "sweep_seconds": 2,
    "lease_seconds": 15,
    "provision_seconds": 120,
    "progress_seconds": 600,
    "bake_seconds": 30,
    "production_bake_seconds": 300,
    "drain_seconds": 30,
    "smoke_timeout_seconds": 5,
    "host_silence_seconds": 15,
    "gateway_silence_seconds": 45,
    "replica_drain_wait_seconds": 5,
    "xds_hold_seconds": 20,
    "xds_check_seconds": 0.5,
    "probe_seconds": 0.2,
    "pull_seconds": 1,
    "pull_timeout_seconds": 2,
    "window_second_retention": 15 * 60,
    "window_minute_retention": 24 * 3600,
    "idempotency_hours": 24,
}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_an_operator_who_says_nothing_gets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"SLIPWAY_{name.upper()}", raising=False)
    assert getattr(load(), name) == DEFAULTS[name]


def test_a_strategy_that_names_no_bake_takes_its_environments() -> None:
    assert parse(None, default_bake=300).strategy.bake_seconds == 300


def test_a_replica_is_ready_after_three_good_answers_in_a_row() -> None:
    assert NEEDED_STREAK == 3
