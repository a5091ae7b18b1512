"""Removing images that nothing needs, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from core import clock
from core.errors import NotAllowed, NotFound
from deployments.cleaning import Cleaned
from deployments.models import Build, Host, Image, ImageCopy, Release, Version
from deployments.ports import HostRefused
from deployments.reconcile import image_work
from deployments.services import garbage
from governance.domain.access import SYSTEM
from governance.models import AuditEvent
from tests.app.reconcile.conftest import Site
from tests.app.reconcile.engines import Engines, configure
from tests.app.reconcile.engines import engines as engines
from tests.factories import people


@pytest.fixture
def north(engines: Engines, settings: Any) -> Host:
    """A host with six images of one endpoint, the oldest two beyond what is kept."""
    configure(settings, keep_images=4)
    host = engines.add("north")
    for number in range(4, 7):
        template = Version.objects.get(number=1)
        template.pk, template.number = f"01JD{number:022d}", number
        template.save(force_insert=True)
    for number in range(1, 7):
        rollout = engines.started(number)
        engines.work()
        engines.site.pass_time(1)
        rollout.refresh_from_db()
        type(rollout).objects.filter(pk=rollout.pk).update(
            phase="done", outcome="promoted", due_at=None
        )
    return host


def removed(cleaned: list[Cleaned]) -> set[int | None]:
    return {each.version for host in cleaned for each in host.removals if each.removed}


def found(cleaned: list[Cleaned]) -> set[int | None]:
    return {each.version for host in cleaned for each in host.removals}


def held(host: Host) -> set[int]:
    rows = ImageCopy.objects.filter(host=host)
    return set(rows.values_list("image__version__number", flat=True))


def test_the_newest_of_an_endpoint_stay(engines: Engines, north: Host) -> None:
    cleaned = garbage.collect(actor=SYSTEM)
    assert removed(cleaned) == {1, 2}
    assert held(north) == {3, 4, 5, 6}
    assert len(engines.of(north).images) == 4
    assert cleaned[0].kept == 4


def test_a_dry_run_says_the_same_and_does_nothing(engines: Engines, north: Host) -> None:
    events = AuditEvent.objects.count()
    cleaned = garbage.collect(actor=SYSTEM, dry_run=True)
    assert found(cleaned) == {1, 2}
    assert removed(cleaned) == set()
    assert len(engines.of(north).images) == 6
    assert held(north) == {1, 2, 3, 4, 5, 6}
    assert AuditEvent.objects.count() == events


def test_what_is_live_stays_however_old_it_is(engines: Engines, north: Host) -> None:
    endpoint = engines.site.endpoint
    endpoint.stable_release = Release.objects.get(version__number=1)
    endpoint.save()
    assert removed(garbage.collect(actor=SYSTEM)) == {2}


def test_what_an_unfinished_rollout_needs_stays(engines: Engines, north: Host) -> None:
    engines.started(2)
    assert removed(garbage.collect(actor=SYSTEM)) == {1}


def test_what_a_container_uses_stays_whoever_made_it(engines: Engines, north: Host) -> None:
    used = ImageCopy.objects.get(image__version__number=1).engine_id
    engines.of(north).used.add(used)
    assert removed(garbage.collect(actor=SYSTEM)) == {2}
    assert used in engines.of(north).images


def test_what_is_being_brought_somewhere_stays(engines: Engines, north: Host) -> None:
    image = Image.objects.get(version__number=1)
    Build.objects.create(image=image, host=engines.add("south"), kind="copy")
    assert removed(garbage.collect(actor=SYSTEM)) == {2}


def test_strangers_images_are_not_touched_whatever_they_are_called(
    engines: Engines, north: Host
) -> None:
    stranger = engines.of(north).add_strangers_image()
    before = set(engines.of(north).images)
    garbage.collect(actor=SYSTEM)
    assert stranger in engines.of(north).images
    assert len(before - set(engines.of(north).images)) == 2


def test_an_image_of_ours_that_no_row_knows_goes(engines: Engines, north: Host) -> None:
    ImageCopy.objects.filter(image__version__number=6).delete()
    Build.objects.filter(image__version__number=6).delete()
    engines.site.endpoint.rollouts.filter(target_release__version__number=6).delete()
    Release.objects.filter(version__number=6).delete()
    Image.objects.filter(version__number=6).delete()
    cleaned = garbage.collect(actor=SYSTEM)
    assert {(each.image, each.removed) for each in cleaned[0].removals} >= {("", True)}
    assert len(engines.of(north).images) == 4


def test_an_image_that_cannot_be_removed_is_a_warning_and_stays_known(
    engines: Engines, north: Host
) -> None:
    copy = ImageCopy.objects.get(image__version__number=1)
    engines.of(north).stubborn.add(copy.engine_id)
    cleaned = garbage.collect(actor=SYSTEM)
    assert removed(cleaned) == {2}
    [warned] = [each for each in cleaned[0].removals if each.warning]
    assert (warned.version, warned.removed) == (1, False)
    assert "is being used" in ImageCopy.objects.get(image__version__number=1).warning


def test_a_silent_host_is_named_and_the_others_are_cleaned(engines: Engines, north: Host) -> None:
    silent = engines.add("aside")
    engines.of(silent).silent = True
    cleaned = garbage.collect(actor=SYSTEM)
    assert {each.host: bool(each.problem) for each in cleaned} == {"aside": True, "north": False}
    assert removed(cleaned) == {1, 2}


def test_it_is_written_down_what_was_removed_from_where(
    transactional_db: None, engines: Engines, north: Host
) -> None:
    garbage.collect(actor=SYSTEM)
    assert AuditEvent.objects.filter(action="image.collect").count() == 1


def test_a_removed_image_is_built_again_when_somebody_goes_back_to_it(
    engines: Engines, north: Host
) -> None:
    garbage.collect(actor=SYSTEM)
    rollout = engines.started(1)
    build = Build.objects.get(state="queued")
    assert build.image == rollout.target_release.image
    image_work.work(build.pk)
    assert 1 in held(north)


def test_a_full_disk_is_cleaned_before_the_next_attempt(
    engines: Engines, north: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = Version.objects.get(number=1)
    template.pk, template.number = "01JD" + "9" * 22, 7
    template.save(force_insert=True)
    rollout = engines.started(7)
    full = [HostRefused("no space left on device")]

    def once() -> None:
        if full:
            raise full.pop()

    engines.of(north).on_build = once
    engines.work()
    assert held(north) == {3, 4, 5, 6}
    engines.site.pass_time(5)
    engines.work()
    assert rollout.target_release.image.copies.exists()  # type: ignore[union-attr]


# --- who may -------------------------------------------------------------------------------------


def test_whoever_runs_one_environment_cleans_that_one_only(
    engines: Engines, north: Host, site: Site
) -> None:
    person = people.person("olga")
    people.bind(person, "operator", scope_kind="environment", scope_id=site.environment.pk)
    cleaned = garbage.collect(actor=people.actor(person))
    assert [each.host for each in cleaned] == ["north"]
    with pytest.raises((NotFound, NotAllowed)):
        garbage.collect(actor=people.actor(person), environment="production")


def test_charlie_may_look_and_remove_nothing(engines: Engines, north: Host) -> None:
    charlie = people.person("charlie")
    people.bind(charlie, "viewer")
    with pytest.raises(NotAllowed):
        garbage.collect(actor=people.actor(charlie), dry_run=True)
    assert len(engines.of(north).images) == 6


def test_mallory_learns_nothing(engines: Engines, north: Host) -> None:
    assert garbage.collect(actor=people.actor(people.person("mallory"))) == []
    assert clock.now()
