"""Builds that fail, hang, lose their worker or their host."""

from __future__ import annotations

from typing import Any

import pytest

from core import clock
from core.errors import Broken
from deployments.adapters import artifact_store
from deployments.domain.world import ImageState
from deployments.models import Build, Host, ImageCopy, Rollout
from deployments.ports import HostRefused, HostSilent
from deployments.reconcile import builds, image_work
from deployments.selectors import images
from tests.app.reconcile.engines import Engines, holders, states
from tests.app.reconcile.engines import engines as engines


def view(rollout: Rollout) -> Any:
    return images.view(rollout.target_release_id)


def test_a_build_that_fails_is_tried_again_with_more_and_more_time_between(
    engines: Engines,
) -> None:
    north = engines.add("north")
    rollout = engines.started()
    engines.of(north).disk_full = True
    assert engines.work() == 1
    build = Build.objects.get()
    assert (build.state, build.attempts) == ("queued", 1)
    assert build.failure is not None
    assert build.failure["code"] == "build:disk-full"
    assert build.not_before is not None
    first = build.not_before - clock.now()
    assert "Trying again" in view(rollout).message
    engines.site.pass_time(first.total_seconds() + 0.1)
    assert engines.work() == 1
    build.refresh_from_db()
    assert build.not_before is not None
    assert build.not_before - clock.now() > first


def test_after_the_last_attempt_the_rollout_goes_back_and_says_why(engines: Engines) -> None:
    north = engines.add("north")
    rollout = engines.started()
    engines.of(north).disk_full = True
    for _ in range(3):
        engines.work()
        engines.site.pass_time(100)
    build = Build.objects.get()
    assert (build.state, build.attempts) == ("failed", 3)
    seen = view(rollout)
    assert seen.state is ImageState.FAILED
    assert "disk is full" in seen.message
    assert seen.evidence["build"] == build.public_id
    assert "no space left" in seen.evidence["build_log"]
    engines.site.until(rollout, lambda row: row.outcome == "reverted")
    reason = rollout.status["reason"]
    assert reason["code"] == "build-failed"
    assert reason["evidence"]["build"] == build.public_id


def test_once_there_is_room_again_the_build_succeeds_and_its_log_tells_both(
    engines: Engines,
) -> None:
    north = engines.add("north")
    engines.started()
    engines.of(north).disk_full = True
    engines.work()
    engines.of(north).disk_full = False
    engines.site.pass_time(10)
    engines.work()
    build = Build.objects.get()
    assert (build.state, build.attempts, build.failure) == ("succeeded", 2, None)
    assert "no space left" in build.log
    assert "Attempt 2" in build.log


def test_a_silent_host_uses_no_attempt_up_and_freezes_the_rollout(engines: Engines) -> None:
    north = engines.add("north")
    rollout = engines.started()
    engines.heard(north)
    for _ in range(10):
        engines.work()
        engines.site.pass_time(11)
    build = Build.objects.get()
    assert (build.state, build.attempts) == ("queued", 0)
    assert view(rollout).state is ImageState.WAITING
    engines.heard()
    engines.site.pass_time(11)
    engines.work()
    assert view(rollout).state is ImageState.READY


def test_the_build_of_a_silent_host_moves_to_another_one_that_has_the_base(
    engines: Engines,
) -> None:
    north, south = engines.add("north"), engines.add("south")
    engines.started()
    engines.site.pass_time(60)
    engines.heard(north)
    engines.work()
    engines.site.pass_time(11)
    engines.heard(north)
    engines.work()
    assert engines.of(south).builds == 1
    assert holders(engines.image()) == {"south"}


def test_a_copy_to_a_silent_host_holds_nobody_up_after_its_first_failure(
    engines: Engines,
) -> None:
    engines.add("north")
    south = engines.add("south")
    rollout = engines.started()
    engines.of(south).silent = True
    engines.work()
    assert view(rollout).state is ImageState.READY
    assert ("copy", "south", "queued") in states(engines.image())
    engines.heard()
    engines.site.pass_time(11)
    engines.heard()
    engines.work()
    assert holders(engines.image()) == {"north", "south"}


def test_a_broken_artifact_is_not_tried_again(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.add("north")
    rollout = engines.started()

    def corrupted(digest: str) -> Any:
        raise Broken("The stored artifact is corrupted.", code="artifact:corrupted")

    monkeypatch.setattr(artifact_store, "ciphertext", corrupted)
    engines.work()
    build = Build.objects.get()
    assert (build.state, build.attempts) == ("failed", 1)
    assert "corrupted" in view(rollout).message


def test_a_base_that_was_removed_meanwhile_is_named_and_not_tried_again(
    engines: Engines,
) -> None:
    north = engines.add("north")
    rollout = engines.started()
    engines.of(north).bases.clear()
    engines.work()
    seen = view(rollout)
    assert seen.state is ImageState.FAILED
    assert "base image" in seen.message
    assert Build.objects.get().failure["code"] == "build:base-gone"  # type: ignore[index]


def test_a_host_that_lost_its_image_gets_it_again_from_another(engines: Engines) -> None:
    north, south = engines.add("north"), engines.add("south")
    engines.started()
    engines.work()
    engines.of(south).images.clear()
    ImageCopy.objects.filter(host=south).delete()
    builds.sweep()
    engines.work()
    assert holders(engines.image()) == {"north", "south"}
    assert engines.of(south).images.keys() == engines.of(north).images.keys()


def test_when_every_copy_is_lost_it_is_built_again(engines: Engines) -> None:
    north = engines.add("north")
    engines.started()
    engines.work()
    engines.of(north).images.clear()
    ImageCopy.objects.all().delete()
    builds.sweep()
    engines.work()
    assert engines.of(north).builds == 2
    assert holders(engines.image()) == {"north"}


def test_a_source_that_does_not_have_it_any_more_is_forgotten(engines: Engines) -> None:
    north, south = engines.add("north"), engines.add("south")
    engines.started()
    image_work.work(Build.objects.get().pk)
    engines.of(north).images.clear()
    engines.work()
    for _ in range(3):
        engines.site.pass_time(10)
        engines.heard()
        engines.work()
    assert "south" in holders(engines.image())
    assert engines.of(south).builds == 1


def test_a_host_that_is_added_later_gets_what_is_live(engines: Engines) -> None:
    engines.add("north")
    engines.started()
    engines.work()
    south = engines.add("south")
    builds.sweep()
    engines.work()
    assert holders(engines.image()) == {"north", "south"}
    assert engines.of(south).loads == 1


def test_two_hosts_on_one_engine_copy_nothing(engines: Engines) -> None:
    north = engines.add("north")
    twin = engines.add("twin")
    engines.stores[twin.pk] = engines.of(north)
    engines.started()
    engines.work()
    assert holders(engines.image()) == {"north", "twin"}
    assert (engines.of(north).builds, engines.of(north).loads) == (1, 0)


# --- several workers -----------------------------------------------------------------------------


def test_a_message_that_comes_twice_finds_the_sign_of_life_and_leaves(engines: Engines) -> None:
    north = engines.add("north")
    engines.started()
    build = Build.objects.get()
    again: list[Build | None] = []
    engines.of(north).on_build = lambda: again.append(builds.claim(build.pk))
    engines.work()
    assert again == [None, None]
    assert engines.of(north).builds == 1


def test_a_killed_workers_build_is_taken_over_and_the_dead_one_writes_nothing(
    engines: Engines, settings: Any
) -> None:
    north = engines.add("north")
    engines.started()
    dead = builds.claim(Build.objects.get().pk)
    assert dead is not None
    assert engines.work() == 0, "the other one may be alive"
    engines.site.pass_time(6 * settings.CONFIG.build_heartbeat_seconds + 1)
    engines.heard()
    engines.work()
    build = Build.objects.get()
    assert (build.state, build.attempts) == ("succeeded", 2)
    assert not builds.succeeded(dead, builds.Made("sha256:old", 1, built=True), "late")
    builds.failed(dead, builds.Trouble("build:refused", "late"), "late")
    assert engines.image().engine_id == engines.of(north).ours()[0].engine_id
    assert Build.objects.get().state == "succeeded"


def test_a_build_that_kills_every_worker_is_given_up(engines: Engines, settings: Any) -> None:
    engines.add("north")
    rollout = engines.started()
    for _ in range(settings.CONFIG.build_attempts):
        assert builds.claim(Build.objects.get().pk) is not None
        engines.site.pass_time(100)
    assert builds.claim(Build.objects.get().pk) is None
    assert view(rollout).state is ImageState.FAILED
    assert "ended 3 times" in view(rollout).message


def test_no_more_run_at_once_than_may(engines: Engines, settings: Any) -> None:
    for name in ("north", "south", "west"):
        engines.add(name)
    engines.started()
    image_work.work(Build.objects.get().pk)
    image = engines.image()
    Host.objects.filter(name="east").delete()
    engines.add("east")
    builds.sweep()
    waiting = [row.pk for row in Build.objects.filter(image=image, state="queued")]
    assert len(waiting) == 3
    taken = [builds.claim(pk) for pk in waiting]
    assert sum(each is not None for each in taken) == settings.CONFIG.builds_at_once == 2


def test_an_engine_that_refuses_gives_its_own_words(engines: Engines) -> None:
    north = engines.add("north")
    engines.started()
    engines.of(north).on_build = lambda: (_ for _ in ()).throw(HostRefused("bad layer"))
    engines.work()
    assert "bad layer" in Build.objects.get().failure["message"]  # type: ignore[index]


def test_an_engine_that_falls_silent_in_the_middle_is_asked_again(engines: Engines) -> None:
    north = engines.add("north")
    engines.started()
    silent = [HostSilent("cut off")]

    def fall_silent() -> None:
        if silent:
            raise silent.pop()

    engines.of(north).on_build = fall_silent
    engines.work()
    assert Build.objects.get().state == "queued"
    engines.site.pass_time(11)
    engines.heard()
    engines.work()
    assert Build.objects.get().state == "succeeded"
