"""/teams"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from governance.api.base import ApiView
from governance.api.shapes import NewTeam, TeamChange, TeamShape
from governance.models import Team
from governance.selectors import teams as selectors
from governance.services import teams


def show(team: Team) -> dict[str, Any]:
    return dict(TeamShape(team).data)


class Teams(ApiView):
    actions: ClassVar = {"GET": "team.read", "POST": "team.create"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(TeamShape)})
    def get(self, request: Request) -> Response:
        return page(request, selectors.visible(self.actor), show)

    @extend_schema(request=NewTeam, responses={201: TeamShape})
    def post(self, request: Request) -> Response:
        team = teams.create(actor=self.actor, **validated(NewTeam, request))
        response = preconditions.tagged(show(team), team.revision, status=201)
        response["Location"] = f"{request.path}/{team.name}"
        return response


class OneTeam(ApiView):
    actions: ClassVar = {"GET": "team.read", "PATCH": "team.edit"}

    @extend_schema(responses={200: TeamShape})
    def get(self, request: Request, name: str) -> Response:
        team = selectors.named(self.actor, name)
        if preconditions.not_modified(request, team.revision):
            return Response(status=304, headers={"ETag": preconditions.etag(team.revision)})
        return preconditions.tagged(show(team), team.revision)

    @extend_schema(request=TeamChange, responses={200: TeamShape})
    def patch(self, request: Request, name: str) -> Response:
        team = selectors.named(self.actor, name)
        seen = preconditions.require_match(request, team.revision)
        change = validated(TeamChange, request)
        changed = teams.rename(actor=self.actor, team=team, title=change["title"], revision=seen)
        return preconditions.tagged(show(changed), changed.revision)
