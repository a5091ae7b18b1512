"""Endpoint keys: those of an environment, one of them, and what people do with them."""

from __future__ import annotations

import shlex
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from core.errors import Invalid, NotFound, Refused
from deployments.domain import keys as rules
from deployments.selectors import environments, gate
from deployments.selectors import keys as selectors
from deployments.selectors.cards import KeyRow
from deployments.services import keys as services
from frontend.addresses import endpoint_url
from frontend.presenters import keys as presenter
from frontend.views.base import actor_of, done, page, show, status_of
from governance.domain.access import Actor

_MOST_SHOWN = 200


@page("key.read")
def listed(request: HttpRequest) -> HttpResponse:
    return _listed(request)


@page("key.issue", "POST")
def issue(request: HttpRequest) -> HttpResponse:
    """Answers with the page itself and no redirect: the key is shown this once."""
    entered = request.POST
    try:
        issued = services.issue(
            actor=actor_of(request),
            environment=entered.get("environment", ""),
            name=entered.get("name", "").strip(),
            endpoints=entered.getlist("endpoints"),
            expires_in_days=_whole(entered.get("expires_in_days", "")) or 0,
            requests_per_minute=_whole(entered.get("requests_per_minute", "")),
            requests_per_day=_whole(entered.get("requests_per_day", "")),
        )
    except Refused as problem:
        return _listed(request, status=status_of(problem), problem=problem)
    return _listed(request, created=_created(request, issued))


@page("key.read")
def one(request: HttpRequest, key_id: str) -> HttpResponse:
    return _one(request, key_id)


@page("key.edit", "POST")
def edit(request: HttpRequest, key_id: str) -> HttpResponse:
    actor, entered = actor_of(request), request.POST
    try:
        services.edit(
            actor=actor,
            key_id=key_id,
            revision=_seen(request),
            name=entered.get("name", "").strip(),
            endpoints=entered.getlist("endpoints"),
            requests_per_minute=_whole(entered.get("requests_per_minute", "")),
            requests_per_day=_whole(entered.get("requests_per_day", "")),
        )
    except NotFound:
        raise
    except Refused as problem:
        return _one(request, key_id, status=status_of(problem), problem=problem)
    return done(request, "The key is changed.", reverse("key", args=[key_id]))


@page("key.rotate", "POST")
def rotate(request: HttpRequest, key_id: str) -> HttpResponse:
    """Answers with the page of the new key, which is shown this once."""
    hours = _whole(request.POST.get("overlap_hours", ""))
    issued = services.rotate(
        actor=actor_of(request),
        key_id=key_id,
        revision=_seen(request),
        overlap_hours=rules.DEFAULT_OVERLAP_HOURS if hours is None else hours,
    )
    return _one(request, issued.key.public_id, created=_created(request, issued))


@page("key.revoke", "POST")
def revoke(request: HttpRequest, key_id: str) -> HttpResponse:
    key = services.revoke(actor=actor_of(request), key_id=key_id)
    sentence = f"The key “{key.name}” is revoked; gateways refuse it within a second."
    return done(request, sentence, reverse("key", args=[key_id]))


def _listed(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    actor = actor_of(request)
    places = [place.name for place in environments.environments(actor)]
    asked = request.POST or request.GET
    chosen = asked.get("environment") or (places[0] if places else "")
    if chosen:
        gate.environment_for(actor, chosen)
    endpoint, every = request.GET.get("endpoint", ""), request.GET.get("show") == "all"
    rows = _rows(actor, chosen, endpoint, every=every)
    issuable = selectors.issuable(actor, chosen)
    context = {
        "environment": chosen,
        "endpoint": endpoint,
        "endpoint_url": endpoint_url(chosen, endpoint) if endpoint else "",
        "keys": [presenter.row(key) for key in rows],
        "filters": presenter.filters(places, chosen, endpoint, every=every),
        "issuable": issuable,
        "cannot_issue": "" if issuable else selectors.cannot_issue(actor, chosen),
        "entered": presenter.entered(request.POST if "problem" in more else None, endpoint),
        "command": presenter.issue_command(
            endpoint or (issuable[0] if issuable else "ENDPOINT"), chosen
        ),
        **more,
    }
    return show(request, "frontend/pages/endpoint_keys.html", context, status=status)


def _rows(actor: Actor, environment: str, endpoint: str, *, every: bool) -> list[KeyRow]:
    """The newest first; those that ended only when all are asked for."""
    states = None if every else rules.IN_FORCE
    found = selectors.key_rows(actor, environment=environment, states=states)
    if endpoint:
        place = gate.environment_for(actor, environment)
        found = found.filter(endpoints=gate.endpoint_named(actor, place, endpoint))
    return selectors.rows(list(found.order_by("-created_at", "-pk")[:_MOST_SHOWN]))


def _one(request: HttpRequest, key_id: str, *, status: int = 200, **more: Any) -> HttpResponse:
    actor = actor_of(request)
    row = selectors.row(actor, key_id)
    refused = "problem" in more
    context = {
        "key": presenter.row(row),
        "issuable": sorted({*selectors.issuable(actor, row.environment), *row.endpoints}),
        "entered": presenter.entered(request.POST, "") if refused else presenter.as_is(row),
        "cannot": selectors.cannot_change(actor, row.id),
        "overlap_hours": int(rules.DEFAULT_OVERLAP_HOURS),
        **more,
    }
    return show(request, "frontend/pages/endpoint_key.html", context, status=status)


def _created(request: HttpRequest, issued: services.Issued) -> dict[str, Any]:
    row = selectors.row(actor_of(request), issued.key.public_id)
    endpoint = row.endpoints[0] if row.endpoints else "ENDPOINT"
    line = shlex.join(["slipway", "predict", endpoint, "-e", row.environment, "--key-file", "FILE"])
    return {"name": row.name, "text": issued.text, "command": line}


def _whole(text: str) -> int | None:
    """What is empty is None; what is no number is out of bounds, and the service says which."""
    if not text.strip():
        return None
    plain = text.isascii() and text.isdecimal() and len(text) < 12
    return int(text) if plain else 0


def _seen(request: HttpRequest) -> int:
    """The revision that the page showed."""
    seen = _whole(request.POST.get("revision", ""))
    if not seen:
        raise Invalid("This page is not one of ours; load it again.", code="invalid_generation")
    return seen
