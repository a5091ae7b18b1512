"""Models: what is registered, and what people do with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from core.errors import Invalid, NotAllowed
from deployments.api.uploads import ROOM_FOR_FIELDS
from deployments.selectors import builds, endpoints, environments, gate, registry, subjects
from deployments.selectors.cards import AliasMoveRow, AliasRow, EndpointCard, ModelRow, VersionRow
from deployments.services import aliases, intake, models, rollouts, versions
from frontend.addresses import endpoint_url, model_url
from frontend.forms import MoveAlias, NewModel, NewVersion, StartRollout
from frontend.presenters import images
from frontend.presenters.fleet import live_versions
from frontend.presenters.signature import tensors
from frontend.views.base import actor_of, page, show
from frontend.views.dialogs import FormAction, checked, done
from frontend.words import badge_of
from governance import authorize
from governance.domain.access import Actor
from governance.selectors import teams

_MOVES_SHOWN = 5


@page("model.read")
def listed(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    query = request.GET.get("q", "").strip()
    rows = [row for row in registry.models(actor) if query.lower() in row.name]
    context = {
        "rows": rows,
        "query": query,
        "create_refused": _cannot_create(actor),
        "create_form": NewModel(teams=_team_names(actor)),
    }
    return show(request, "frontend/pages/models.html", context)


@page("model.create", "POST")
def create(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    given = checked(NewModel(request.POST, teams=_team_names(actor)))
    model = models.create(actor=actor, **given)
    return done(request, f"The model {model.name} is made.", model_url(model.name))


@page("model.read")
def one(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    model = registry.model(actor, name)
    found = registry.versions(actor, name)
    numbers = [version.number for version in found]
    context = {
        "model": model,
        "versions": _versions(actor, name, found),
        "aliases": _aliases(actor, name),
        "endpoints": [_running(card) for card in endpoints.endpoints(actor, model=name)],
        "actions": _actions(actor, model, numbers),
        "push_command": shlex.join(["slipway", "push", "my.onnx", "--model", name]),
    }
    return show(request, "frontend/pages/model.html", context)


@csrf_exempt
@page("version.create", "POST")
def upload(request: HttpRequest, name: str) -> HttpResponse:
    """The check of the form's secret reads the whole body: who may not, or sends too much, is
    refused before that, and `_receive` makes up for it."""
    versions.require_may_register(actor_of(request), name)
    length = request.META.get("CONTENT_LENGTH") or "0"
    intake.check_size((int(length) if length.isdigit() else 0) - ROOM_FOR_FIELDS)
    return _receive(request, name)


@csrf_protect
def _receive(request: HttpRequest, name: str) -> HttpResponse:
    given = checked(NewVersion(request.POST, request.FILES))
    artifact = given["artifact"]
    if not isinstance(artifact, TemporaryUploadedFile):
        raise Invalid("The artifact must be a file.", code="invalid")
    try:
        version = versions.register(
            actor=actor_of(request),
            model=name,
            path=Path(artifact.temporary_file_path()),
            description=given["description"],
            allow_nonfinite=given["allow_nonfinite"],
        )
    finally:
        artifact.close()
    return done(request, f"Version {version.number} is registered.", model_url(name))


@page("alias.move", "POST")
def move_alias(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    given = checked(MoveAlias(request.POST, versions=_numbers(actor, name)))
    present = {alias.name: alias.revision for alias in registry.aliases(actor, name)}
    aliases.move(
        actor=actor,
        model=name,
        alias=given["alias"],
        version=given["version"],
        revision=present.get(given["alias"]),
        reason=given["reason"],
    )
    sentence = f"{given['alias']} is version {given['version']} now."
    return done(request, sentence, model_url(name))


@page("rollout.start", "POST")
def roll_out(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    form = StartRollout(
        request.POST, versions=_numbers(actor, name), environments=_environment_names(actor)
    )
    given = checked(form)
    rollouts.start(
        actor=actor,
        model=name,
        version=given["version"],
        environment=given["environment"],
        replicas=given["replicas"],
        strategy=form.strategy(),
        comment=given["comment"],
    )
    sentence = f"The rollout of version {given['version']} has started."
    return done(request, sentence, endpoint_url(given["environment"], name))


def _actions(actor: Actor, model: ModelRow, numbers: list[int]) -> list[FormAction]:
    subject = subjects.of_model(gate.model_for(actor, model.name))
    places = _environment_names(actor)
    none_yet = "" if numbers else "There is no version yet."

    def reason(action: str) -> str:
        return authorize.verdict(actor, action, subject).reason

    return [
        FormAction(
            "start-rollout",
            "Roll out a version",
            "rocket",
            reverse("model-rollout", args=[model.name]),
            "It takes over blue-green: the traffic moves once the new replicas have answered.",
            "Start the rollout",
            StartRollout(versions=numbers, environments=places),
            disabled=reason("rollout.start") or none_yet,
            primary=True,
        ),
        FormAction(
            "new-version",
            "Upload a version",
            "upload",
            reverse("model-upload", args=[model.name]),
            f"It becomes version {(model.latest_version or 0) + 1}, for ever as it is.",
            "Upload and check",
            NewVersion(),
            disabled=reason("version.create"),
            encoding="multipart/form-data",
        ),
        FormAction(
            "move-alias",
            "Move an alias",
            "tag",
            reverse("model-alias", args=[model.name]),
            "Whoever asks for the alias gets this version from now on; nothing running changes.",
            "Move the alias",
            MoveAlias(versions=numbers),
            disabled=reason("alias.move") or none_yet,
        ),
    ]


def _aliases(actor: Actor, name: str) -> list[tuple[AliasRow, list[AliasMoveRow]]]:
    moved = registry.moves(actor, name)
    return [
        (alias, [move for move in moved if move.name == alias.name][:_MOVES_SHOWN])
        for alias in registry.aliases(actor, name)
    ]


def _versions(actor: Actor, name: str, found: list[VersionRow]) -> list[tuple[Any, ...]]:
    """Each with its signature, and its newest image if it ever was in one."""
    made = builds.of_model(actor, name)
    return [
        (
            version,
            tensors(version.signature),
            images.image(made[version.number]) if version.number in made else None,
        )
        for version in found
    ]


def _running(card: EndpointCard) -> dict[str, Any]:
    return {
        "url": endpoint_url(card.environment, card.name),
        "environment": card.environment,
        "live": live_versions(card),
        "badge": badge_of(card.state),
        "sentence": card.sentence,
    }


def _cannot_create(actor: Actor) -> str:
    try:
        authorize.require_anywhere(actor, "model.create")
    except NotAllowed as problem:
        return problem.detail
    return ""


def _numbers(actor: Actor, name: str) -> list[int]:
    return [version.number for version in registry.versions(actor, name)]


def _team_names(actor: Actor) -> list[str]:
    return [team.name for team in teams.visible(actor).order_by("name")]


def _environment_names(actor: Actor) -> list[str]:
    return [place.name for place in environments.environments(actor)]
