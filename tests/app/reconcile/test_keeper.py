"""The thread beside a build: sign of life, log as it comes, time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from core import clock
from deployments.models import Build, Host, Image, Version
from deployments.reconcile import builds, keeper
from deployments.reconcile.keeper import Keeper, OutOfTime, TakenOver
from tests.app.reconcile.conftest import Site
from tests.app.reconcile.engines import configure

pytestmark = pytest.mark.django_db(transaction=True)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.fixture
def build(site: Site, monkeypatch: pytest.MonkeyPatch) -> Build:
    """One that this worker has claimed."""
    monkeypatch.setattr(keeper, "_TURN_SECONDS", 0.02)
    host = Host.objects.create(environment=site.environment, name="north", kind="docker")
    image = Image.objects.create(
        version=Version.objects.first(),
        digest="sha256:" + "1" * 64,
        base_reference="base",
        base_id="sha256:" + "2" * 64,
    )
    queued = Build.objects.create(image=image, kind="build", host=host, log="earlier")
    claimed = builds.claim(queued.pk)
    assert claimed is not None
    return claimed


def row() -> Build:
    return Build.objects.get()


def test_lines_show_while_the_work_goes_on(build: Build) -> None:
    with Keeper(build) as beside:
        beside.say("Step 1/2 : FROM base")
        until(lambda: "Step 1/2" in row().log)
        assert row().log.startswith("earlier")
        assert row().state == "running"
        revision = row().revision
        beside.say("Step 2/2 : COPY")
        until(lambda: row().revision > revision)


def test_a_page_is_told_of_new_lines(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(keeper.live, "changed", lambda topic, revision: told.append(topic))
    with Keeper(build) as beside:
        beside.say("something")
        until(lambda: bool(told))
    assert told[0] == f"build:{build.public_id}"


def test_a_quiet_build_gives_a_sign_of_life(build: Build, settings: Any) -> None:
    configure(settings, build_heartbeat_seconds=0.05)
    Build.objects.update(heartbeat_at=clock.now().replace(year=2001))
    with Keeper(build):
        until(lambda: row().heartbeat_at is not None and row().heartbeat_at.year > 2001)  # type: ignore[union-attr]


def test_a_worker_that_was_taken_for_dead_stops_at_the_next_line(
    build: Build, settings: Any
) -> None:
    configure(settings, build_heartbeat_seconds=0.05)
    with Keeper(build) as beside:
        Build.objects.update(token="another worker's", log="the other one's")

        def noticed() -> bool:
            try:
                beside.check()
            except TakenOver:
                return True
            return False

        until(noticed)
        with pytest.raises(TakenOver):
            beside.say("too late")
    assert row().log == "the other one's"


def test_work_that_takes_too_long_is_told_to_end(build: Build, settings: Any) -> None:
    configure(settings, build_seconds=0.01)
    with Keeper(build) as beside:
        time.sleep(0.02)
        with pytest.raises(OutOfTime):
            beside.say("one more")


def test_what_looks_like_a_secret_is_not_written(build: Build) -> None:
    with Keeper(build) as beside:
        beside.say("pulling from https://alice:hunter2@registry.example/")
        until(lambda: "registry.example" in row().log)
    assert "hunter2" not in row().log
