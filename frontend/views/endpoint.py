"""One endpoint: the page, its regions, the figures of its charts, and what people do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from core import ids
from core.errors import Invalid, NotFound
from deployments.selectors import endpoints, keys, registry, rollouts
from deployments.selectors.cards import EndpointCard as Card
from deployments.services import endpoints as doors
from deployments.services import rollouts as services
from frontend import charts
from frontend.addresses import endpoint_url
from frontend.presenters import endpoint as presenter
from frontend.views.base import actor_of, done, is_partial, page, show
from governance.domain.access import Actor
from monitoring.domain.series import Traffic
from monitoring.selectors.traffic import traffic

_NOW_SECONDS = 10
_CHART_SECONDS = 300
_TABLE_ROWS = 600

_VERBS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "promote": ("rollout.promote", services.promote, "The wait is skipped."),
    "pause": ("rollout.pause", services.pause, "The rollout is paused."),
    "resume": ("rollout.resume", services.resume, "The rollout goes on."),
    "abort": ("rollout.abort", services.abort, "The rollout is being taken back."),
}


@page("endpoint.read")
def whole(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    actor = actor_of(request)
    card = _card(actor, environment, name)
    context = _context(actor, card, with_keys=True)
    context["curl"] = presenter.curl(card, _sample(actor, card))
    context["summary"] = traffic(actor, card.id, _CHART_SECONDS).summary
    return show(request, "frontend/pages/endpoint.html", context)


@page("endpoint.read")
def head(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    actor = actor_of(request)
    context = _context(actor, _card(actor, environment, name))
    return show(request, "frontend/partials/endpoint_head.html", context)


@page("endpoint.read")
def body(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    actor = actor_of(request)
    context = _context(actor, _card(actor, environment, name), with_keys=True)
    return show(request, "frontend/partials/endpoint_body.html", context)


@page("endpoint.read")
def figures(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    seen = _traffic(request, environment, name)
    return JsonResponse({"figures": charts.figures(seen), "summary": seen.summary})


@page("endpoint.read")
def summary(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """What the charts show, in one line."""
    seen = _traffic(request, environment, name)
    context = {"summary": seen.summary, "environment": environment, "name": name}
    return show(request, "frontend/partials/traffic_summary.html", context)


@page("endpoint.read")
def table(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """The very points of the charts, the newest first."""
    seen = _traffic(request, environment, name)
    rows = islice(_rows(seen), _TABLE_ROWS)
    return show(request, "frontend/partials/traffic_table.html", {"rows": list(rows)})


@page("endpoint.read")
def story(request: HttpRequest, rollout_id: str) -> HttpResponse:
    events = rollouts.events(actor_of(request), rollout_id)
    return show(request, "frontend/partials/story.html", {"events": events})


def _acting(verb: str) -> Any:
    action, service, sentence = _VERBS[verb]

    @page(action, "POST")
    def act(request: HttpRequest, rollout_id: str) -> HttpResponse:
        rollout = service(
            actor=actor_of(request),
            rollout_id=ids.parse(rollout_id, "rol"),
            reason=_reason(request),
            generation=_generation(request),
        )
        ref = rollouts.rollout(actor_of(request), rollout.public_id).endpoint
        return _acted(request, ref.environment, ref.name, sentence)

    return act


promote, pause, resume, abort = (_acting(verb) for verb in ("promote", "pause", "resume", "abort"))


@page("endpoint.rollback", "POST")
def roll_back(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    actor = actor_of(request)
    card = _card(actor, environment, name)
    services.roll_back(
        actor=actor,
        endpoint_id=ids.parse(card.id, "end"),
        to=request.POST.get("to") or None,
        reason=_reason(request),
    )
    return _acted(request, environment, name, "Rolling back.")


@page("endpoint.open", "POST")
def open_to_all(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    actor = actor_of(request)
    card = _card(actor, environment, name)
    doors.open_to_all(actor=actor, endpoint_id=card.id, reason=_reason(request))
    return _acted(request, environment, name, "The endpoint is open to everybody.")


@page("endpoint.close", "POST")
def require_keys(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    actor = actor_of(request)
    card = _card(actor, environment, name)
    doors.require_keys(actor=actor, endpoint_id=card.id, reason=_reason(request))
    return _acted(request, environment, name, "Clients need a key again.")


def _acted(request: HttpRequest, environment: str, name: str, sentence: str) -> HttpResponse:
    """The new head of the page, with what was done said in the page's live region."""
    if not is_partial(request):
        return done(request, sentence, endpoint_url(environment, name))
    actor = actor_of(request)
    context = _context(actor, _card(actor, environment, name))
    context["said"] = sentence
    return show(request, "frontend/partials/endpoint_head.html", context)


def _context(actor: Actor, card: Card, *, with_keys: bool = False) -> dict[str, Any]:
    history = rollouts.of_endpoint(actor, card.id)
    back = {release.id for release in endpoints.rollback_targets(actor, card.id)}
    now = traffic(actor, card.id, _NOW_SECONDS).totals
    in_force = keys.in_force(actor, card.id) if with_keys else []
    return {"endpoint": presenter.endpoint(card, history, back, now, in_force)}


def _card(actor: Actor, environment: str, name: str) -> Card:
    found = endpoints.endpoints(actor, environment=environment, model=name)
    if not found:
        raise NotFound(f"There is no endpoint {name[:60]!r} in {environment[:60]!r}.")
    return found[0]


def _traffic(request: HttpRequest, environment: str, name: str) -> Traffic:
    actor = actor_of(request)
    return traffic(actor, _card(actor, environment, name).id, _CHART_SECONDS)


def _sample(actor: Actor, card: Card) -> Any:
    """An inference request for what serves; the reader may be allowed the endpoint only."""
    if card.stable_release is None:
        return None
    try:
        return registry.version(actor, card.model, card.stable_release.version).sample
    except NotFound:
        return None


def _rows(seen: Traffic) -> Iterable[dict[str, Any]]:
    points = [(series.version, point) for series in seen.series for point in series.points]
    for version, point in sorted(points, key=lambda pair: (-pair[1].t, pair[0])):
        yield {
            "at": datetime.fromtimestamp(point.t, UTC),
            "label": f"version {version}",
            "point": point,
        }


def _generation(request: HttpRequest) -> int | None:
    """What the person saw; without it, whatever there is. Anything else is no guess of ours."""
    text = request.POST.get("generation", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Invalid("This page is not one of ours; load it again.", code="invalid_generation")
    return int(text)


def _reason(request: HttpRequest) -> str:
    reason = request.POST.get("reason", "").strip()
    if len(reason) > 500:
        raise Invalid("A reason has at most 500 characters.", code="reason_too_long")
    return reason
