"""What becomes of an image that a rollout wants, with Engines that can be broken."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from core.errors import Conflict
from deployments.adapters import version_manifests
from deployments.domain.world import ImageState
from deployments.models import Build, Environment, Host, Image, ImageCopy, Rollout
from deployments.reconcile import builds, image_work
from deployments.selectors import images
from deployments.services import images as services
from tests.app.reconcile.engines import CIPHERTEXT, Engines, configure, holders, states
from tests.app.reconcile.engines import engines as engines
from wire import version_manifest


def view(rollout: Rollout) -> Any:
    return images.view(rollout.target_release_id)


def test_a_rollout_queues_a_build_and_says_what_it_waits_for(engines: Engines) -> None:
    engines.add("north")
    rollout = engines.started()
    assert states(engines.image()) == [("build", "north", "queued")]
    seen = view(rollout)
    assert seen.state is ImageState.WAITING
    assert "north" in seen.message


def test_the_image_holds_the_encrypted_artifact_and_the_signed_manifest_and_nothing_else(
    engines: Engines, settings: Any
) -> None:
    north = engines.add("north")
    rollout = engines.started()
    engines.work()
    [stored] = engines.of(north).images.values()
    assert stored.files.keys() == {"artifact.slw", "version.json"}
    assert stored.files["artifact.slw"] == CIPHERTEXT
    manifest = version_manifest.verify(
        stored.files["version.json"], settings.KEYS.signing_key().public_key()
    )
    version = rollout.target_release.version
    assert (manifest.model, manifest.version) == ("tumour", 1)
    assert manifest.artifact_digest == version.artifact_id
    assert stored.labels["slipway.digest"] == engines.image().digest
    assert stored.labels["org.opencontainers.image.version"] == "1"


def test_a_built_image_is_ready_and_its_endpoint_is_told(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    north = engines.add("north")
    rollout = engines.started()
    Rollout.objects.update(due_at=None)
    engines.work()
    image = engines.image()
    assert image.engine_id == engines.of(north).ours()[0].engine_id
    assert image.built_at is not None
    assert image.size == 1000
    assert view(rollout).state is ImageState.READY
    rollout.refresh_from_db()
    assert rollout.due_at is not None
    assert "Successfully built" in Build.objects.get().log


def test_every_other_host_of_the_environment_gets_a_copy_and_only_one_builds(
    engines: Engines,
) -> None:
    north, south = engines.add("north"), engines.add("south", base=False)
    rollout = engines.started()
    image_work.work(Build.objects.get().pk)
    assert states(engines.image()) == [
        ("build", "north", "succeeded"),
        ("copy", "south", "queued"),
    ]
    assert view(rollout).message == "Bringing the image to the host south."
    engines.work()
    assert holders(engines.image()) == {"north", "south"}
    assert (engines.of(north).builds, engines.of(south).builds) == (1, 0)
    assert engines.of(south).loads == 1
    assert view(rollout).state is ImageState.READY


def test_with_a_registry_the_image_is_pushed_once_and_pulled_by_digest(
    engines: Engines, settings: Any
) -> None:
    configure(settings, registry="registry.example:5000/models")
    engines.add("north")
    south, west = engines.add("south"), engines.add("west")
    engines.started()
    engines.work()
    reference = engines.image().registry_reference
    assert reference.startswith("registry.example:5000/models/tumour@sha256:")
    assert list(engines.registry.content) == [reference]
    assert (engines.of(south).pulls, engines.of(west).pulls) == (1, 1)
    assert (engines.of(south).loads, engines.of(west).loads) == (0, 0)
    assert holders(engines.image()) == {"north", "south", "west"}


def test_a_registry_that_came_later_gets_the_image_before_the_first_pull(
    engines: Engines, settings: Any
) -> None:
    engines.add("north")
    engines.started()
    engines.work()
    configure(settings, registry="registry.example:5000/models")
    south = engines.add("south")
    builds.sweep()
    engines.work()
    assert engines.of(south).pulls == 1
    assert engines.image().registry_reference


def test_the_same_inputs_are_not_built_a_second_time(engines: Engines) -> None:
    north = engines.add("north")
    rollout = engines.started()
    engines.work()
    assert engines.site.actor
    with transaction.atomic():
        again = services.wanted(rollout.target_release.version, engines.site.environment)
        services.bring(again, engines.site.environment)
    assert again == engines.image()
    assert Build.objects.count() == 1
    assert engines.of(north).builds == 1


def test_an_image_that_is_there_although_its_row_was_lost_is_taken_as_it_is(
    engines: Engines,
) -> None:
    north = engines.add("north")
    engines.started()
    engines.work()
    Build.objects.all().delete()
    ImageCopy.objects.all().delete()
    Image.objects.update(engine_id="", built_at=None)
    builds.sweep()
    engines.work()
    assert engines.of(north).builds == 1
    assert engines.image().engine_id == engines.of(north).ours()[0].engine_id
    assert "already" in Build.objects.get().log


def test_another_base_is_another_image(engines: Engines) -> None:
    north = engines.add("north")
    rollout = engines.started()
    before = engines.image().digest
    Host.objects.filter(pk=north.pk).update(engine={"base_id": "sha256:" + "c" * 64})
    with transaction.atomic():
        image = services.wanted(rollout.target_release.version, engines.site.environment)
    assert image is not None
    assert image.digest != before


def test_another_artifact_or_another_signature_of_a_version_is_another_image(
    engines: Engines,
) -> None:
    engines.add("north")
    version = engines.started().target_release.version
    before = version_manifests.signed(version)
    version.allow_nonfinite = True
    assert version_manifests.signed(version) != before


def test_without_a_base_image_anywhere_the_rollout_is_refused(engines: Engines) -> None:
    engines.add("north", base=False)
    with pytest.raises(Conflict) as refused:
        engines.started()
    assert refused.value.stable_code == "image:no-base-image"
    assert "make base-image" in refused.value.detail
    assert not Rollout.objects.exists()


def test_a_second_environment_waits_for_the_first_ones_build_and_takes_a_copy(
    engines: Engines,
) -> None:
    production = Environment.objects.get(name="production")
    engines.add("north")
    far = engines.add("far", environment=production)
    first = engines.started()
    with transaction.atomic():
        services.bring(first.target_release.image, production)
    assert Build.objects.count() == 1, "it is being built in the other environment"
    engines.work()
    with transaction.atomic():
        services.bring(engines.image(), production)
    engines.work()
    assert holders(engines.image()) == {"north", "far"}
    assert engines.of(far).builds == 0
