"""An endpoint with two releases and a replica of each, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from core import clock
from deployments.models import (
    Artifact,
    Endpoint,
    Environment,
    Host,
    Model,
    Release,
    Replica,
    Version,
)
from governance.models import Team
from monitoring.domain.ledger import Ledger
from monitoring.domain.shards import Shard
from monitoring.services import recording
from tests.fakes.counting_replica import CountingReplica

BEGIN = 1_800_000_000.0


@dataclass
class Site:
    endpoint: Endpoint
    releases: list[Release]
    replicas: list[Replica]
    time: list[float] = field(default_factory=lambda: [BEGIN])

    def counting(self, index: int) -> CountingReplica:
        replica = self.replicas[index]
        release = self.releases[index]
        return CountingReplica(replica.public_id, release.public_id, booted_at=self.time[0])

    def replica(self, release: Release) -> Replica:
        slot = Replica.objects.count()
        return Replica.objects.create(
            release=release, host=self.replicas[0].host, slot=slot, state="starting"
        )


class Counting:
    """A collector's second without the network: pull, close, store."""

    def __init__(self, site: Site, shard: Shard | None = None) -> None:
        self.site = site
        self.claim = recording.claim(shard or Shard())
        self.ledger = Ledger(self.claim.marks)

    def second(self, *reporting: CountingReplica) -> None:
        now = self.site.time[0]
        for replica in reporting:
            self.ledger.receive(replica.report(now + 0.7), now + 0.7)
        self.site.time[0] = now + 1
        self.store()

    def store(self) -> None:
        closed = self.ledger.close(self.site.time[0])
        if closed:
            recording.commit(self.claim, closed)


@pytest.fixture
def site(risk: Team) -> Iterator[Site]:
    model = Model.objects.create(name="tumour", team=risk)
    environment = Environment.objects.create(name="practice")
    host = Host.objects.create(environment=environment, name="here", kind="process")
    artifact = Artifact.objects.create(digest="sha256:" + "0" * 64, size=1, storage_name="x")
    endpoint = Endpoint.objects.create(model=model, environment=environment)
    releases = []
    for number in (1, 2):
        version = Version.objects.create(
            model=model, number=number, artifact=artifact, signature={}, sample={}
        )
        digest = f"sha256:{number}"
        releases.append(
            Release.objects.create(endpoint=endpoint, version=version, config={}, digest=digest)
        )
    replicas = [
        Replica.objects.create(release=release, host=host, state="ready") for release in releases
    ]
    made = Site(endpoint, releases, replicas)
    with clock.at(lambda: datetime.fromtimestamp(made.time[0], UTC)):
        yield made
