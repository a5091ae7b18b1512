"""Where the image of a release stands."""

from __future__ import annotations

from deployments.domain.world import ImageState, ImageView
from deployments.models import Build, Image


def view(release_id: str) -> ImageView:
    """What the engine wants to know of a release's image. Ready means: built, and on its way to
    no further host."""
    image = Image.objects.filter(releases=release_id).first()
    if image is None:
        return ImageView()
    builds = image.builds.select_related("host").order_by("pk")
    making = [build for build in builds if build.state in Build.OPEN]
    if making:
        return ImageView(ImageState.WAITING, _doing(making[0]))
    if image.engine_id:
        return ImageView(ImageState.READY)
    last = builds.last()
    if last is None:
        return ImageView(ImageState.WAITING, "Waiting for the image to be built.")
    failure = last.failure or {}
    return ImageView(
        ImageState.FAILED,
        str(failure.get("message", "The image could not be built.")),
        {"build": last.public_id, "host": last.host.name, **failure.get("evidence", {})},
    )


def _doing(build: Build) -> str:
    if build.kind == Build.Kind.COPY:
        return f"Bringing the image to the host {build.host.name}."
    if build.state == Build.State.QUEUED:
        return f"Waiting for a worker to build the image on the host {build.host.name}."
    return f"Building the image on the host {build.host.name}."
