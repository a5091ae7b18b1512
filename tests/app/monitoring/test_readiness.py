"""What the collector writes about replicas."""

from __future__ import annotations

from deployments.models import Replica, Rollout
from deployments.services import replicas
from monitoring.domain.shards import Shard
from monitoring.selectors.targets import targets
from tests.app.monitoring.conftest import Site

GOOD = {"ok": True, "status": 200}
BAD = {"ok": False, "status": 503, "body": "still loading"}


def test_a_ready_replica_is_written_down_and_wakes_its_rollout(site: Site):
    copy = site.replica(site.releases[0])
    rollout = Rollout.objects.create(
        endpoint=site.endpoint,
        number=1,
        target_release=site.releases[0],
        strategy={},
        spec={},
        status={},
        phase="provisioning",
        due_at=None,
    )

    assert replicas.record_ready(copy.pk, streak=3, probe=GOOD, port=4711, address="127.0.0.1")

    copy.refresh_from_db()
    assert (copy.state, copy.ready_streak, copy.port) == ("ready", 3, 4711)
    assert copy.ready_at is not None
    assert copy.revision == 2
    rollout.refresh_from_db()
    assert rollout.due_at is not None
    assert rollout.wakes == 1


def test_what_is_not_known_does_not_undo_what_is(site: Site):
    copy = site.replica(site.releases[0])
    Replica.objects.filter(pk=copy.pk).update(port=4711, boot_id="boot-1")

    replicas.record_ready(copy.pk, streak=3, probe=GOOD)

    copy.refresh_from_db()
    assert (copy.port, copy.boot_id) == (4711, "boot-1")


def test_a_replica_that_was_told_to_stop_does_not_become_ready(site: Site):
    copy = site.replica(site.releases[0])
    Replica.objects.filter(pk=copy.pk).update(state="stopping")

    assert not replicas.record_ready(copy.pk, streak=3, probe=GOOD)
    assert not replicas.record_probe(copy.pk, BAD)

    copy.refresh_from_db()
    assert (copy.state, copy.last_probe) == ("stopping", {})


def test_why_a_replica_is_not_ready_is_kept_as_evidence(site: Site):
    copy = site.replica(site.releases[0])

    assert replicas.record_probe(copy.pk, BAD)

    copy.refresh_from_db()
    assert (copy.state, copy.last_probe) == ("starting", BAD)


def test_a_collector_watches_what_may_still_count(site: Site):
    ended = site.replica(site.releases[0])
    Replica.objects.filter(pk=ended.pk).update(state="stopped")

    found = targets(Shard())
    shared = [targets(Shard(index, 3)) for index in range(3)]

    assert set(found) == {copy.pk for copy in site.replicas}
    assert sum(len(each) for each in shared) == 2
    assert found[site.replicas[0].pk].release == site.releases[0].public_id
