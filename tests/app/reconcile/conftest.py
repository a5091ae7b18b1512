"""An endpoint whose hosts, replicas, gateways and collector are fakes that a test can break."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core import clock
from deployments.adapters import artifact_store, gateway_smoke, hosts, replica_smoke
from deployments.adapters.gateway_smoke import SmokeAnswer
from deployments.domain import routing
from deployments.models import (
    Endpoint,
    Environment,
    Gateway,
    GatewayState,
    Host,
    Model,
    Replica,
    Rollout,
    Route,
    Snapshot,
    Version,
)
from deployments.reconcile import loop
from deployments.services import replicas, rollouts
from governance.domain.access import Actor
from governance.models import RoleBinding, Team, User
from tests.factories import artifacts
from tests.fakes.container_host import FakeContainerHost

SIGNATURE = {
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
}
SAMPLE = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.5]}]}
ANSWERED = SmokeAnswer(ok=True, status=200, seconds=0.01, evidence="")


@dataclass
class Site:
    """One model in one environment, with a clock that only `pass_time` moves."""

    actor: Actor
    model: Model
    environment: Environment
    host_row: Host
    host: FakeContainerHost
    gateways: list[Gateway]
    time: list[float]
    collector_runs: bool = True
    deaf_gateways: set[str] = field(default_factory=set)
    rejecting: str = ""
    direct_answer: SmokeAnswer = ANSWERED
    gateway_answer: SmokeAnswer = ANSWERED

    def start(self, version: int, **options: Any) -> Rollout:
        options = {"strategy": {"bake_seconds": 30}} | options
        return rollouts.start(
            actor=self.actor,
            model=self.model.name,
            version=version,
            environment=self.environment.name,
            **options,
        )

    def pass_time(self, seconds: float) -> None:
        self.time[0] += seconds

    def turn(self, rollout: Rollout) -> Rollout:
        """One visit of the loop, then a round of everybody who reports to it."""
        Rollout.objects.exclude(phase="done").update(due_at=clock.now())
        loop.reconcile(rollout.pk)
        if self.collector_runs:
            self.collect()
        for gateway in self.gateways:
            self.poll(gateway)
        rollout.refresh_from_db()
        return rollout

    def until(self, rollout: Rollout, condition: Callable[[Rollout], bool], **how: Any) -> Rollout:
        """Turns, a tenth of a second apart, until the condition holds."""
        step = how.get("step", 0.1)
        for _ in range(how.get("turns", 400)):
            if condition(self.turn(rollout)):
                return rollout
            self.pass_time(step)
        raise AssertionError(f"it never happened: {rollout.status}")

    def finish(self, rollout: Rollout) -> Rollout:
        return self.until(rollout, lambda row: row.phase == "done", step=5.0)

    def baking(self, rollout: Rollout) -> Rollout:
        return self.until(rollout, lambda row: row.status["waiting"] == "timer")

    def collect(self) -> None:
        for copy in Replica.objects.filter(state=Replica.State.STARTING, port__isnull=False):
            if self.host.observed[copy.public_id].running:
                replicas.record_ready(copy.pk, streak=3, probe={"status": 200})

    def poll(self, gateway: Gateway) -> None:
        if gateway.name in self.deaf_gateways:
            return
        Gateway.objects.filter(pk=gateway.pk).update(last_poll_at=clock.now())
        for snapshot in Snapshot.objects.filter(environment=self.environment):
            state, _ = GatewayState.objects.get_or_create(
                gateway=gateway, type_url=snapshot.type_url
            )
            state.served_generation = snapshot.generation
            if self.rejecting and self.rejecting in snapshot.type_url:
                state.rejected_generation = snapshot.generation
                state.rejected_reason = "the listener does not like it"
            elif state.acked_generation != snapshot.generation:
                state.acked_generation = snapshot.generation
                state.acked_at = clock.now()
            state.save()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.objects.get(model=self.model)

    @property
    def shares(self) -> dict[int, int]:
        """Desired traffic by version number; exposed releases have 0."""
        return {
            route.release.version.number: route.percent
            for route in Route.objects.select_related("release__version")
        }

    def copies(self, version: int, *states: str) -> list[Replica]:
        rows = Replica.objects.filter(release__version__number=version)
        return list(rows.filter(state__in=states) if states else rows)

    def clusters(self) -> list[dict[str, Any]]:
        row = Snapshot.objects.filter(type_url=routing.CLUSTER_TYPE).first()
        return list(row.resources) if row else []

    def routes_text(self) -> str:
        row = Snapshot.objects.get(type_url=routing.ROUTE_TYPE)
        return json.dumps(row.resources).replace("\\", "")


@pytest.fixture
def site(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    alice = User.objects.create(username="alice")
    team = Team.objects.create(name="risk")
    RoleBinding.objects.create(user=alice, role="ml_engineer", scope_kind="team", scope_id=team.pk)
    model = Model.objects.create(name="tumour", team=team)
    environment, _ = Environment.objects.get_or_create(
        name="staging", defaults={"smoke_secret": "s"}
    )
    host_row = Host.objects.create(environment=environment, name="local", kind="process")
    artifact = artifacts.row()
    for number in (1, 2, 3):
        Version.objects.create(
            model=model, number=number, artifact=artifact, signature=SIGNATURE, sample=SAMPLE
        )
    gateways = [
        Gateway.objects.create(
            environment=environment, name=name, address=f"http://{name}", token_hash=name
        )
        for name in ("east", "west")
    ]
    made = Site(
        actor=Actor(user_id=alice.pk, username="alice"),
        model=model,
        environment=environment,
        host_row=host_row,
        host=FakeContainerHost(tmp_path),
        gateways=gateways,
        time=[0.0],
    )
    began = clock.now()
    _wire(made, monkeypatch)
    with clock.at(lambda: began + timedelta(seconds=made.time[0])):
        yield made


def _wire(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(host: Host) -> FakeContainerHost:
        assert host.pk == site.host_row.pk
        return site.host

    def materialize(digest: str, folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_text(digest)
        return path

    def ask(*_: Any, **__: Any) -> SmokeAnswer:
        return site.direct_answer

    def reach(address: str, *_: Any, **__: Any) -> SmokeAnswer:
        assert isinstance(address, str)
        return site.gateway_answer

    monkeypatch.setattr(hosts, "connect", connect)
    monkeypatch.setattr(artifact_store, "materialize", materialize)
    monkeypatch.setattr(replica_smoke, "ask", ask)
    monkeypatch.setattr(gateway_smoke, "reach", reach)
    monkeypatch.setattr("deployments.reconcile.smoke._WARMING_SECONDS", 0.0)


def evidence_of(rollout: Rollout) -> Mapping[str, Any]:
    reason = rollout.status["reason"]
    assert reason is not None
    return dict(reason["evidence"])
