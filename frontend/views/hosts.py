"""Environments: their hosts and gateways, and what people do with hosts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from deployments.selectors import environments, gate
from deployments.selectors.cards import EnvironmentRow, HostRow
from deployments.services import hosts as services
from frontend.host_forms import EditHost, EditProcessHost, GiveUp, NewHost
from frontend.presenters import hosts as presenter
from frontend.views.base import actor_of, page, show
from frontend.views.dialogs import FormAction, checked, done
from governance import authorize
from governance.domain.access import Actor, Subject

_ROOT = (
    "Whoever adds a host, and whoever holds its Engine, is root on that machine: Slipway starts"
    " there what anybody rolls out who may. Give it machines that do nothing else."
)


@page("environment.read")
def listed(request: HttpRequest) -> HttpResponse:
    return _shown(request, "frontend/pages/environments.html")


@page("environment.read")
def region(request: HttpRequest) -> HttpResponse:
    return _shown(request, "frontend/partials/environments.html")


@page("host.add", "POST")
def add(request: HttpRequest, environment: str) -> HttpResponse:
    form = NewHost(request.POST, of="new-host")
    given = checked(form)
    host = services.add(
        actor=actor_of(request),
        environment=environment,
        name=given["name"],
        kind="docker",
        engine=services.Engine(given["address"], given["publish_address"], form.credentials()),
        capacity=given["capacity"],
    )
    version = host.engine.get("engine_version", "")
    sentence = f"The host {host.name} is added; its Engine is Docker {version}."
    return done(request, sentence, reverse("environments"))


@page("host.edit", "POST")
def edit(request: HttpRequest, host_id: str) -> HttpResponse:
    actor = actor_of(request)
    row = environments.host(actor, host_id)
    form = _edit_form(row, request.POST)
    given = checked(form)
    services.edit(
        actor=actor,
        host_id=host_id,
        revision=given["revision"] or 0,
        capacity=given["capacity"],
        publish_address=given.get("publish_address") or None,
        credentials=form.credentials() if isinstance(form, EditHost) else None,
    )
    return done(request, f"The host {row.name} is changed.", reverse("environments"))


@page("host.replace", "POST")
def replace(request: HttpRequest, host_id: str) -> HttpResponse:
    actor = actor_of(request)
    row = environments.host(actor, host_id)
    reason = checked(GiveUp(request.POST, of="replace"))["reason"]
    count = services.replace_replicas(actor=actor, host_id=host_id, reason=reason)
    sentence = f"{count} replica(s) of {row.name} are replaced elsewhere."
    return done(request, sentence, reverse("environments"))


@page("host.remove", "POST")
def remove(request: HttpRequest, host_id: str) -> HttpResponse:
    actor = actor_of(request)
    row = environments.host(actor, host_id)
    services.remove(actor=actor, host_id=host_id, revision=row.revision)
    return done(request, f"The host {row.name} is removed.", reverse("environments"))


def _shown(request: HttpRequest, template: str) -> HttpResponse:
    actor = actor_of(request)
    places = [_place(actor, row) for row in environments.environments(actor)]
    return show(request, template, {"places": places, "root": _ROOT})


def _place(actor: Actor, row: EnvironmentRow) -> dict[str, Any]:
    hosts = Subject("host", environment_id=gate.environment_for(actor, row.name).pk)
    return {
        "place": presenter.place(row),
        "hosts": [(presenter.host(host), _actions(actor, host, hosts)) for host in row.hosts],
        "add": _add(row, authorize.verdict(actor, "host.add", hosts).reason),
    }


def _add(row: EnvironmentRow, refused: str) -> FormAction:
    return FormAction(
        f"add-host-{row.name}",
        "Add a host",
        "plus",
        reverse("host-add", args=[row.name]),
        f"{_ROOT} The Engine is asked before it is kept.",
        "Ask it and add it",
        NewHost(of=f"add-host-{row.name}"),
        disabled=refused,
    )


def _actions(actor: Actor, row: HostRow, subject: Subject) -> list[FormAction]:
    """Giving up replicas is offered where there is something to give up."""

    def refused(action: str) -> str:
        return authorize.verdict(actor, action, subject).reason

    named = f"{row.environment}-{row.name}"
    found = []
    if row.state == "silent" and row.replicas:
        found.append(
            FormAction(
                f"replace-{named}",
                "Replace its replicas elsewhere",
                "rotate-ccw",
                reverse("host-replace", args=[row.id]),
                f"The {row.replicas} replica(s) of {row.name} are given up and started on other"
                " hosts. Until those are ready, gateways go on asking the old ones. Whatever"
                f" {row.name} still runs when it comes back is ended.",
                "Replace them",
                GiveUp(of=f"replace-{named}"),
                disabled=refused("host.replace"),
                primary=True,
            )
        )
    return [*found, _edit(row, named, refused("host.edit")), _remove(row, named, refused)]


def _edit(row: HostRow, named: str, refused: str) -> FormAction:
    return FormAction(
        f"edit-{named}",
        "Edit",
        "layers",
        reverse("host-edit", args=[row.id]),
        "What runs stays where it is. Certificates that are left empty stay as they are.",
        "Save",
        _edit_form(row),
        disabled=refused,
    )


def _remove(row: HostRow, named: str, refused: Any) -> FormAction:
    running = f"{row.replicas} replica(s) run on it." if row.replicas else ""
    return FormAction(
        f"remove-{named}",
        "Remove",
        "x",
        reverse("host-remove", args=[row.id]),
        f"Slipway forgets {row.name} and its credentials.",
        "Remove the host",
        GiveUp(of=f"remove-{named}"),
        disabled=refused("host.remove") or running,
    )


def _edit_form(row: HostRow, given: Any = None) -> EditHost | EditProcessHost:
    kind = EditHost if row.kind == "docker" else EditProcessHost
    initial = {
        "capacity": row.capacity,
        "publish_address": row.publish_address,
        "revision": row.revision,
    }
    return kind(given, initial=initial, of=f"edit-{row.environment}-{row.name}")
