"""Run as a program: makes the rows that a collector needs, in the database of SLIPWAY_HOME.

    python -m tests.contract.collector.seed RELEASES REPLICAS STATE

Prints one JSON list of replicas: {"id", "name", "release"}; replica n belongs to release n modulo
RELEASES. They have no address yet.
"""

from __future__ import annotations

import json
import os
import sys

import django


def seed(releases: int, replicas: int, state: str) -> list[dict[str, str]]:
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

    team = Team.objects.create(name="oncology")
    model = Model.objects.create(name="tumour", team=team)
    environment = Environment.objects.create(name="practice")
    host = Host.objects.create(environment=environment, name="here", kind="process")
    artifact = Artifact.objects.create(digest="sha256:" + "0" * 64, size=1, storage_name="x")
    endpoint = Endpoint.objects.create(model=model, environment=environment)
    made = []
    for number in range(1, releases + 1):
        version = Version.objects.create(
            model=model, number=number, artifact=artifact, signature={}, sample={}
        )
        made.append(
            Release.objects.create(
                endpoint=endpoint, version=version, config={}, digest=f"sha256:{number}"
            )
        )
    rows = [
        Replica(release=made[index % releases], host=host, slot=index, state=state)
        for index in range(replicas)
    ]
    Replica.objects.bulk_create(rows)
    return [{"id": row.pk, "name": row.public_id, "release": row.release.public_id} for row in rows]


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
    django.setup()
    print(json.dumps(seed(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))  # noqa: T201
