"""/models/{name}/versions"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from django.core.files.uploadedfile import TemporaryUploadedFile
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.fields import JSONObject
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from core.errors import FieldProblem, Invalid
from deployments.api.answers import show
from deployments.api.inputs import NewVersion
from deployments.api.shapes import VersionShape
from deployments.api.uploads import ArtifactParser
from deployments.selectors import gate, registry
from deployments.services import versions
from governance.api.base import ApiView

_CONTENT_DIGEST = OpenApiParameter(
    "Content-Digest",
    str,
    OpenApiParameter.HEADER,
    description="RFC 9530, of the whole body: `sha-256=:<base64>:`.",
)


class Versions(ApiView):
    """A new version passes intake before anything of it is stored, which takes seconds."""

    actions: ClassVar = {"GET": "model.read", "POST": "version.create"}
    # Intake takes longer than a transaction may.
    idempotency_atomic = False
    parser_classes = (ArtifactParser,)  # type: ignore[assignment]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            versions.require_may_register(self.actor, kwargs["name"])

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(VersionShape)})
    def get(self, request: Request, name: str) -> Response:
        rows = registry.version_rows(gate.model_for(self.actor, name))
        return page(request, rows, lambda row: show(VersionShape, registry.version_row(row)))

    @extend_schema(
        request={"multipart/form-data": NewVersion},
        responses={201: VersionShape},
        parameters=[_CONTENT_DIGEST],
    )
    def post(self, request: Request, name: str) -> Response:
        fields = validated(NewVersion, request)
        metadata = _metadata(fields.get("metadata"))
        artifact = fields["artifact"]
        if not isinstance(artifact, TemporaryUploadedFile):
            raise Invalid("`artifact` must be a file.", code="invalid")
        try:
            version = versions.register(
                actor=self.actor,
                model=name,
                path=Path(artifact.temporary_file_path()),
                declared_digest=fields.get("sha256"),
                metadata=metadata,
                description=fields.get("description", ""),
                allow_nonfinite=fields.get("allow_nonfinite") == "true",
            )
        finally:
            artifact.close()
        row = registry.version(self.actor, name, version.number)
        headers = {"Location": f"{request.path}/{version.number}"}
        return Response(show(VersionShape, row), status=201, headers=headers)


class OneVersion(ApiView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses={200: VersionShape})
    def get(self, request: Request, name: str, number: int) -> Response:
        return Response(show(VersionShape, registry.version(self.actor, name, number)))


def _metadata(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        sentence = "Metadata is a JSON object."
        wrong = FieldProblem("/metadata", "invalid_metadata", sentence)
        raise Invalid(sentence, code="invalid_metadata", problems=[wrong])
    return JSONObject().to_internal_value(value)
