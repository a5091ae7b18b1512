"""What charts, the fleet page, frames and Prometheus are given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from core import clock
from core.errors import Invalid, NotFound
from deployments.models import Rollout, RolloutEvent
from governance.models import User
from monitoring.domain.shards import Shard
from monitoring.selectors.frames import Frames
from monitoring.selectors.metrics import TrafficMetrics
from monitoring.selectors.traffic import fleet_traffic, traffic
from tests.app.monitoring.conftest import Counting, Site
from tests.factories import people
from tests.factories.api import Api, refused_with


@pytest.fixture
def busy(site: Site) -> Site:
    """Version 1 at 10 requests/s for 30 s, then version 2 at 20, one of them failing, for 30 s."""
    counting = Counting(site)
    one, two = site.counting(0), site.counting(1)
    for _ in range(30):
        one.serve(10, seconds=0.010)
        counting.second(one, two)
    for _ in range(30):
        two.serve(19, failed=1, seconds=0.002)
        counting.second(one, two)
    return site


def test_each_release_has_its_line(busy: Site, alice: User):
    found = traffic(people.actor(alice), busy.endpoint.public_id)

    one, two = found.series
    assert (one.version, two.version) == (1, 2)
    assert one.release == busy.releases[0].public_id
    assert [point.requests_per_second for point in one.points] == [10.0] * 30 + [0.0] * 30
    assert two.points[-1].requests_per_second == 20.0
    assert two.points[-1].errors_per_second == 1.0
    assert two.points[-1].t == int(busy.time[0])
    assert one.points[0].p95_ms == pytest.approx(10, rel=0.02)
    assert one.points[-1].p95_ms is None
    assert two.points[-1].p99_ms == pytest.approx(2, rel=0.02)


def test_the_chart_is_said_in_one_sentence(busy: Site, alice: User):
    found = traffic(people.actor(alice), busy.endpoint.public_id)

    assert found.totals.requests == 900
    assert found.summary.startswith("900 requests in the last 5 minutes, 30 failed; half took up")
    assert found.summary.endswith(".")


def test_nothing_is_said_as_nothing(site: Site, alice: User):
    found = traffic(people.actor(alice), site.endpoint.public_id)

    assert found.series == ()
    assert found.summary == "No requests in the last 5 minutes."


def test_a_long_range_reads_minutes_and_the_newest_seconds(busy: Site, alice: User):
    counting, two = Counting(busy), busy.counting(1)
    two.boot = 9
    two.serve(5)
    counting.second(two)

    found = traffic(people.actor(alice), busy.endpoint.public_id, 3600)

    assert found.totals.requests == 905
    assert found.step == 15
    assert all(len(series.points) <= 300 for series in found.series)


def test_the_switch_and_its_taking_back_are_marked(busy: Site, alice: User):
    switched = clock.now() - timedelta(seconds=40)
    rollout = Rollout.objects.create(
        endpoint=busy.endpoint,
        number=1,
        target_release=busy.releases[1],
        strategy={},
        spec={},
        status={},
        phase="done",
        outcome="reverted",
        finished_at=clock.now() - timedelta(seconds=5),
    )
    for at, percent in ((switched, 100), (switched + timedelta(seconds=20), 0)):
        RolloutEvent.objects.create(
            rollout=rollout,
            kind="routes-changed",
            at=at,
            evidence={"split": {"target_percent": percent, "mirror_percent": 0}},
        )

    found = traffic(people.actor(alice), busy.endpoint.public_id)

    told = [(marker.kind, marker.label, marker.rollout) for marker in found.markers]
    assert told == [
        ("switched", "Version 2 takes over", rollout.public_id),
        ("reverted", "Version 2 taken back", rollout.public_id),
    ]
    assert [marker.t - switched.timestamp() for marker in found.markers] == [0, 20]


def test_mallory_cannot_tell_the_endpoint_from_one_that_does_not_exist(busy: Site, mallory: User):
    with pytest.raises(NotFound):
        traffic(people.actor(mallory), busy.endpoint.public_id)
    assert fleet_traffic(people.actor(mallory)) == {}


@pytest.mark.parametrize("seconds", [0, 9, 86401])
def test_a_range_that_is_not_kept_is_refused(busy: Site, alice: User, seconds: int):
    with pytest.raises(Invalid):
        traffic(people.actor(alice), busy.endpoint.public_id, seconds)


def test_the_fleet_gets_a_sparkline_per_endpoint(
    busy: Site, charlie: User, django_assert_max_num_queries
):
    actor = people.actor(charlie)
    with django_assert_max_num_queries(2):  # their bindings, and the windows
        found = fleet_traffic(actor)

    line = found[busy.endpoint.public_id]
    assert len(line.requests_per_second) == 30
    assert sum(line.requests_per_second) * line.step == 900
    assert line.now == 20.0
    assert line.errors_per_second[-1] == 1.0


def test_a_frame_holds_the_newest_second_of_each_release(busy: Site):
    frames = Frames(Shard()).at(int(busy.time[0]))

    frame = frames[f"endpoint:{busy.endpoint.public_id}:traffic"]
    newest = frame["releases"][busy.releases[1].public_id]
    assert frame["at"] == int(busy.time[0])
    assert (newest["version"], newest["requests"], newest["errors"]) == (2, 20.0, 1.0)
    assert newest["p50"] == pytest.approx(2, rel=0.02)
    assert frame["releases"][busy.releases[0].public_id]["p50"] is None


def test_each_endpoint_is_published_by_one_collector(busy: Site):
    end = int(busy.time[0])
    found = [Frames(Shard(index, 3)).at(end) for index in range(3)]

    assert sum(len(frames) for frames in found) == 1


def test_prometheus_sees_counters_that_only_grow(busy: Site):
    registry = CollectorRegistry()
    registry.register(TrafficMetrics())
    text = generate_latest(registry).decode()

    labels = 'endpoint="tumour",environment="practice",version="2"'
    assert f'slipway_requests_total{{class="5xx",{labels}}} 30.0' in text
    assert f'slipway_requests_total{{class="2xx",{labels}}} 570.0' in text
    assert f"slipway_request_seconds_count{{{labels}}} 600.0" in text
    bucket = 'slipway_request_seconds_bucket{endpoint="tumour",environment="practice",le="0.0025"'
    assert f'{bucket},version="2"}} 600.0' in text


def test_the_api_answers_with_columns(busy: Site, charlie: User):
    answer = Api(token=people.token(charlie)).get(
        f"/endpoints/{busy.endpoint.public_id}/traffic?seconds=60"
    )

    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["endpoint"] == busy.endpoint.public_id
    assert body["from"].endswith("Z")
    assert body["totals"]["requests"] == 900
    two = body["series"][1]
    assert len(two["t"]) == len(two["p99_ms"]) == 60
    assert two["requests_per_second"][-1] == 20.0


def test_the_api_refuses_what_it_does_not_understand(busy: Site, charlie: User, mallory: User):
    path = f"/endpoints/{busy.endpoint.public_id}/traffic"
    api = Api(token=people.token(charlie))

    assert refused_with(api.get(f"{path}?seconds=soon"), 400, "invalid_parameter")
    assert refused_with(api.get(f"{path}?seconds=5"), 422, "traffic:range")
    assert Api().get(path).status_code == 401
    assert Api(token=people.token(mallory)).get(path).status_code in (403, 404)
