"""What probes and scrapers see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from controlplane import health
from core import clock, heartbeat
from deployments.models import Environment, Gateway
from tests.factories.api import Api


def readiness() -> tuple[int, dict[str, Any]]:
    response = Client().get("/readyz")
    return response.status_code, response.json()


def test_web_is_alive_whatever_else_is(db: None) -> None:
    response = Client().get("/livez")
    assert response.status_code == 200
    assert response.json() == {"status": "alive"}


def test_web_is_ready_but_degraded_without_redis(db: None) -> None:
    status, picture = readiness()
    assert status == 200
    assert picture["status"] == "degraded"
    assert picture["checks"]["database"]["ok"]
    redis = picture["checks"]["redis"]
    assert not redis["ok"]
    assert "Redis does not answer" in redis["hint"]
    assert redis["latency_ms"] >= 0


def test_web_is_not_ready_without_its_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise ConnectionError("secret address")

    monkeypatch.setitem(health.CHECKS, "database", (down, "The database does not answer."))
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert b"secret" not in response.content


def test_a_program_that_said_nothing_for_long_is_missed(db: None) -> None:
    heartbeat.beat("worker")
    assert readiness()[1]["checks"]["worker"]["ok"]
    later = clock.now() + timedelta(minutes=1)
    with clock.at(lambda: later):
        worker = readiness()[1]["checks"]["worker"]
    assert not worker["ok"]
    assert "worker" in worker["hint"]


def test_a_gateway_that_stopped_asking_is_counted(db: None) -> None:
    environment = Environment.objects.create(name="risk-lab", smoke_secret="s")
    gateway = Gateway.objects.create(
        environment=environment,
        name="one",
        address="x",
        token_hash="h",
        last_poll_at=clock.now(),
    )
    assert readiness()[1]["checks"]["gateways"]["ok"]
    Gateway.objects.filter(pk=gateway.pk).update(last_poll_at=clock.now() - timedelta(hours=1))
    assert readiness()[1]["checks"]["gateways"]["hint"].startswith("1 gateway")


def test_everything_well_is_ready(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = (lambda: None, "")
    monkeypatch.setattr(health, "CHECKS", dict.fromkeys(health.CHECKS, fine))
    assert readiness() == (200, {"status": "ready", "checks": readiness()[1]["checks"]})


def test_metrics_count_requests_by_pattern_and_name_nothing(admin_api: Api) -> None:
    for number in range(3):
        admin_api.get(f"/teams/name-{number}")
    admin_api.get("/no/such/thing")
    text = Client().get("/metrics").content.decode()
    assert 'route="api/v1/teams/<slug:name>"' in text
    assert "name-1" not in text
    assert 'route="none"' in text
    assert "slipway_rollouts" in text


def test_probes_change_nothing(db: None) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert Client().post(path).status_code == 405
    assert connection.in_atomic_block
