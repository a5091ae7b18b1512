"""A real collector process: what it counts, whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import httpx

from core import clock, pki
from core.pki import Authority
from monitoring.domain.shards import Shard
from tests.contract.collector.conftest import ENVIRONMENT, FakeFleet, Fleet, Served
from tests.contract.collector.stage import Stage, eventually
from wire import identity


def placed(stage: Stage, fleet: Fleet, row: dict[str, str]) -> Served:
    token = stage.token(row["release"], row["name"])
    replica = fleet.replica(row["name"], row["release"], token)
    stage.placed(row["name"], replica.port)
    return replica


def settles_at(stage: Stage, total: int) -> None:
    eventually(lambda: stage.counted() >= total)
    assert stage.counted() == total
    assert stage.in_seconds() == total
    assert stage.in_minutes() == total


def test_it_counts_every_request_once(stage: Stage, fleet: Fleet):
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fleet, row)
    stage.start()

    replica.serve(7)
    eventually(lambda: stage.counted() == 7)
    replica.serve(5)

    settles_at(stage, 12)
    ((packed,),) = stage.query("SELECT latency FROM monitoring_tally")
    _, zero, _, sum_ns, counts = json.loads(packed)["total"]
    assert zero + sum(counts) == 12
    assert sum_ns > 0


def test_a_replica_shows_its_report_only_to_who_has_its_token(
    stage: Stage, fleet: Fleet, authority: Authority
):
    (row,) = stage.seed(releases=1, replicas=1)
    token = stage.token(row["release"], row["name"])
    replica = fleet.replica(row["name"], row["release"], token)
    address = f"https://127.0.0.1:{replica.port}/telemetry/v1/report"
    name = identity.replica(ENVIRONMENT, row["release"], row["name"])

    with httpx.Client(trust_env=False, verify=authority.context_for(name)) as client:
        without = client.get(address)
        wrong = client.get(address, headers={"Authorization": "Bearer " + token[::-1]})
        right = client.get(address, headers={"Authorization": f"Bearer {token}"})

    assert [each.status_code for each in (without, wrong, right)] == [401, 401, 200]
    assert right.json()["replica"] == row["name"]


def test_a_starting_replica_is_ready_after_three_good_answers(stage: Stage, fleet: Fleet):
    (row,) = stage.seed(releases=1, replicas=1, state="starting")
    token = stage.token(row["release"], row["name"])
    replica = fleet.replica(row["name"], row["release"], token)
    stage.start()

    stage.announce(row["name"], replica.port, replica.boot_id)

    columns = "state, ready_streak, port, boot_id, ready_at IS NOT NULL"
    look = f"SELECT {columns} FROM deployments_replica"
    eventually(lambda: stage.query(look)[0][0] == "ready")
    assert stage.query(look) == [("ready", 3, replica.port, replica.boot_id, 1)]
    replica.serve(3)
    settles_at(stage, 3)


def test_a_killed_collector_loses_no_count(stage: Stage, fleet: Fleet):
    rows = stage.seed(releases=1, replicas=2)
    first, second = (placed(stage, fleet, row) for row in rows)
    collector = stage.start()
    first.serve(20)
    second.serve(10)
    eventually(lambda: stage.counted() == 30)

    os.kill(collector.pid, signal.SIGKILL)
    assert collector.wait(10) == -signal.SIGKILL
    first.serve(15)
    stage.start()
    eventually(lambda: stage.counted() >= 45)
    second.serve(5)

    settles_at(stage, 50)


def test_a_collector_killed_again_and_again_counts_nothing_twice(stage: Stage, fakes: FakeFleet):
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fakes, row)
    for round_ in range(1, 3):
        collector = stage.start()
        replica.serve(10)
        eventually(lambda wanted=round_ * 10: stage.counted() >= wanted)
        os.kill(collector.pid, signal.SIGKILL)
        collector.wait(10)
        replica.serve(1)
    stage.start()

    settles_at(stage, 22)


def test_a_gap_is_one_window_from_to(stage: Stage, fakes: FakeFleet):
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fakes, row)
    collector = stage.start()
    replica.serve(1)
    eventually(lambda: stage.counted() == 1)
    replica.hangs = True
    pulled = replica.pulls
    replica.serve(40)
    eventually(lambda: "replica_does_not_report" in stage.log(), 30)
    assert replica.pulls == pulled
    replica.hangs = False

    settles_at(stage, 41)
    lengths = stage.query(
        "SELECT cast(round((julianday(end) - julianday(start)) * 86400) AS int)"
        " FROM monitoring_window WHERE resolution = 1 AND requests_2xx = 40"
    )
    assert len(lengths) == 1
    assert lengths[0][0] >= 3
    assert collector.poll() is None


def test_a_hanging_replica_does_not_delay_the_others(stage: Stage, fakes: FakeFleet):
    rows = stage.seed(releases=1, replicas=3)
    hanging, *others = (placed(stage, fakes, row) for row in rows)
    hanging.hangs = True
    stage.start()
    eventually(lambda: all(other.pulls >= 1 for other in others))

    before = [other.pulls for other in others]
    start = stage.query("SELECT count(*) FROM monitoring_journalsecond")
    assert start
    eventually(lambda: all(o.pulls >= b + 4 for o, b in zip(others, before, strict=True)), 6)

    for other in others:
        other.serve(6)
    settles_at(stage, 12)
    assert hanging.pulls == 0


def test_two_shards_share_the_replicas(stage: Stage, fakes: FakeFleet):
    rows = stage.seed(releases=2, replicas=8)
    replicas = [placed(stage, fakes, row) for row in rows]
    mine = [Shard(0, 2).holds(row["name"]) for row in rows]
    for number, replica in enumerate(replicas):
        replica.serve(10**number % 997)
    stage.start("0/2")
    stage.start("1/2")

    served = [10**number % 997 for number in range(8)]
    settles_at(stage, sum(served))
    assert stage.counted("0/2") == sum(n for n, yes in zip(served, mine, strict=True) if yes)
    assert stage.counted("1/2") == sum(n for n, yes in zip(served, mine, strict=True) if not yes)


def test_one_collector_becomes_two_without_counting_twice(stage: Stage, fakes: FakeFleet):
    rows = stage.seed(releases=1, replicas=6)
    replicas = [placed(stage, fakes, row) for row in rows]
    alone = stage.start("0/1")
    for replica in replicas:
        replica.serve(10)
    eventually(lambda: stage.counted() == 60)

    stage.start("0/2")
    stage.start("1/2")
    assert alone.wait(20) != 0
    for replica in replicas:
        replica.serve(1)

    settles_at(stage, 66)


def test_a_second_collector_of_one_shard_takes_over(stage: Stage, fakes: FakeFleet):
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fakes, row)
    first = stage.start()
    replica.serve(10)
    eventually(lambda: stage.counted() == 10)

    stage.start()
    assert first.wait(20) != 0
    assert "taken over" in stage.log()
    replica.serve(5)

    settles_at(stage, 15)


def test_a_stopped_collector_stores_what_it_has_and_leaves(stage: Stage, fakes: FakeFleet):
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fakes, row)
    collector = stage.start()
    eventually(lambda: replica.pulls >= 2)

    collector.send_signal(signal.SIGTERM)

    assert collector.wait(10) == 0
    ended = stage.query("SELECT count(*) FROM monitoring_window WHERE resolution = 1")
    assert ended[0][0] >= 1


# --- who is who -------------------------------------------------------------------------------


def test_a_replica_of_another_authority_is_not_believed(
    stage: Stage, fakes: FakeFleet, tmp_path: Path
):
    (row,) = stage.seed(releases=1, replicas=1)
    fakes.authority = Authority(tmp_path / "mallory")
    replica = placed(stage, fakes, row)
    replica.serve(5)
    stage.start()

    eventually(lambda: "replica_does_not_report" in stage.log(), 30)
    assert "certificate verify failed" in stage.log()
    assert (replica.pulls, stage.counted()) == (0, 0)


def test_a_port_that_another_replica_got_is_never_sent_a_token(stage: Stage, fakes: FakeFleet):
    mine, other = stage.seed(releases=1, replicas=2)
    token = stage.token(mine["release"], mine["name"])
    replica = fakes.replica(other["name"], other["release"], token)
    stage.placed(mine["name"], replica.port)
    stage.start()

    eventually(lambda: f"{other['name']} answered, not" in stage.log(), 30)
    assert replica.pulls == 0


def test_certificates_are_renewed_while_they_are_in_use(
    stage: Stage, fleet: Fleet, authority: Authority
):
    stage.certificate_hours = 12.0
    fleet.certificate_hours = 60 / 3600  # a third of it has passed after twenty seconds
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fleet, row)
    first = shown(authority, replica.port)
    stage.start()

    eventually(lambda: shown(authority, replica.port) != first, 60)
    assert left(shown(authority, replica.port)) > 11 * 3600
    replica.serve(3)
    settles_at(stage, 3)


def test_an_expired_certificate_is_renewed_too_and_no_count_is_lost(
    stage: Stage, fleet: Fleet, authority: Authority
):
    """The control plane was away for longer than the certificates live."""
    fleet.certificate_hours = -0.1
    (row,) = stage.seed(releases=1, replicas=1)
    replica = placed(stage, fleet, row)
    assert left(shown(authority, replica.port)) < 0
    stage.start()

    eventually(lambda: left(shown(authority, replica.port)) > 3600, 60)
    replica.serve(4)
    settles_at(stage, 4)


def shown(authority: Authority, port: int) -> bytes:
    """The certificate that new connections to this port are shown."""
    context = authority.client_context(even_expired=True)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as connected,
        context.wrap_socket(connected) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def left(certificate: bytes) -> float:
    """For how many seconds it is still good."""
    return pki.expires_at(certificate) - clock.timestamp()
