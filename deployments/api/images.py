"""/images, /builds and /gc"""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from core.errors import Malformed
from deployments.api.answers import show
from deployments.api.image_shapes import BuildLogShape, BuildShape, GarbageShape, ImageShape
from deployments.api.inputs import CollectInput
from deployments.models import Build
from deployments.selectors import builds as selectors
from deployments.selectors import gate
from deployments.services import garbage
from governance.api.base import ApiView

_IMAGE_FILTERS = [OpenApiParameter("model", str), OpenApiParameter("version", int)]
_BUILD_FILTERS = [
    OpenApiParameter("image", str),
    OpenApiParameter("model", str),
    OpenApiParameter("environment", str, description="Of the host."),
    OpenApiParameter("state", str, description="One or more, with commas between."),
]


class Images(ApiView):
    actions: ClassVar = {"GET": "image.read"}

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, *_IMAGE_FILTERS], responses={200: page_of(ImageShape)}
    )
    def get(self, request: Request) -> Response:
        wanted = request.query_params
        rows = selectors.image_rows(self.actor)
        if "model" in wanted:
            rows = rows.filter(version__model__name=wanted["model"])
        if "version" in wanted:
            rows = rows.filter(version__number=_number(wanted["version"]))
        return page(request, rows, lambda row: show(ImageShape, selectors.image_row(row)))


class OneImage(ApiView):
    actions: ClassVar = {"GET": "image.read"}

    @extend_schema(responses={200: ImageShape})
    def get(self, request: Request, image_id: str) -> Response:
        return Response(show(ImageShape, selectors.image(self.actor, image_id)))


class Builds(ApiView):
    actions: ClassVar = {"GET": "image.read"}

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, *_BUILD_FILTERS], responses={200: page_of(BuildShape)}
    )
    def get(self, request: Request) -> Response:
        wanted = request.query_params
        rows = selectors.build_rows(self.actor)
        if "image" in wanted:
            rows = rows.filter(image=gate.image_for(self.actor, wanted["image"]))
        if "model" in wanted:
            rows = rows.filter(image__version__model__name=wanted["model"])
        if "environment" in wanted:
            rows = rows.filter(host__environment__name=wanted["environment"])
        if "state" in wanted:
            rows = rows.filter(state__in=_states(wanted["state"]))
        return page(request, rows, lambda row: show(BuildShape, selectors.build_row(row)))


class OneBuild(ApiView):
    actions: ClassVar = {"GET": "image.read"}

    @extend_schema(responses={200: BuildShape})
    def get(self, request: Request, build_id: str) -> Response:
        return Response(show(BuildShape, selectors.build(self.actor, build_id)))


class BuildLog(ApiView):
    actions: ClassVar = {"GET": "image.read"}

    @extend_schema(responses={200: BuildLogShape})
    def get(self, request: Request, build_id: str) -> Response:
        """As far as it is written; of a long one the middle is left out."""
        return Response(show(BuildLogShape, selectors.log(self.actor, build_id)))


class Garbage(ApiView):
    actions: ClassVar = {"POST": "image.collect"}

    @extend_schema(request=CollectInput, responses={200: GarbageShape})
    def post(self, request: Request) -> Response:
        """Remove the images of ours that nothing needs, or with `dry_run` only say which."""
        wish = validated(CollectInput, request)
        dry_run = bool(wish.get("dry_run", False))
        cleaned = garbage.collect(
            actor=self.actor, environment=wish.get("environment"), dry_run=dry_run
        )
        return Response(show(GarbageShape, {"dry_run": dry_run, "items": cleaned}))


def _states(text: str) -> list[str]:
    states = text.split(",")
    if any(state not in Build.State.values for state in states):
        raise Malformed(
            f"`state` is one of {', '.join(Build.State.values)}.", code="invalid_parameter"
        )
    return states


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Malformed("`version` is a version's number.", code="invalid_parameter")
    return int(text)
