"""Reading endpoint keys: which are in force, and what they have used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date

from django.db.models import (
    Case,
    CharField,
    Exists,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Value,
    When,
)

from core import clock
from deployments.domain import keys as rules
from deployments.domain import routing
from deployments.domain.keys import KeyState
from deployments.domain.routing_inputs import Grant
from deployments.models import Endpoint, EndpointKey, Gateway, KeyUsage, Publication
from deployments.selectors import gate, subjects
from deployments.selectors.cards import KeyRow, KeyUse
from governance import authorize
from governance.domain.access import Actor


def grants(endpoint: Endpoint) -> tuple[Grant, ...]:
    """The keys that this endpoint's gateways admit now, in the order of their ids."""
    return grants_of([endpoint.pk]).get(endpoint.pk, ())


def grants_of(endpoint_ids: Iterable[str]) -> dict[str, tuple[Grant, ...]]:
    """The same for many endpoints, in two queries. Endpoints without a key are left out."""
    links = (
        EndpointKey.endpoints.through.objects.filter(
            endpoint_id__in=list(endpoint_ids),
            endpointkey__revoked_at=None,
            endpointkey__expires_at__gt=clock.now(),
        )
        .select_related("endpointkey")
        .order_by("endpointkey_id")
    )
    limited = [link.endpointkey_id for link in links if link.endpointkey.requests_per_day]
    used = _used_today(limited)
    found: dict[str, list[Grant]] = defaultdict(list)
    for link in links:
        key: EndpointKey = link.endpointkey
        count = used.get((key.pk, link.endpoint_id), 0)
        found[link.endpoint_id].append(
            Grant(
                key_id=key.public_id,
                requests_per_minute=key.requests_per_minute,
                exhausted=rules.is_used_up(count, key.requests_per_day),
            )
        )
    return {endpoint_id: tuple(keys) for endpoint_id, keys in found.items()}


def key_rows(
    actor: Actor,
    *,
    environment: str | None = None,
    endpoint: str | None = None,
    states: Iterable[KeyState] | None = None,
) -> QuerySet[EndpointKey]:
    """Those that the actor sees, with all that `rows` needs but usage. `endpoint` is a public id.

    Raises:
        NotFound: the endpoint.
    """
    found = gate.keys(actor)
    if environment is not None:
        found = found.filter(environment__name=environment)
    if endpoint is not None:
        found = found.filter(endpoints=gate.endpoint_for(actor, endpoint))
    found = found.annotate(state=_state())
    if states is not None:
        found = found.filter(state__in=list(states))
    seen = gate.endpoints(actor, "key.read").select_related("model").order_by("model__name")
    return found.select_related("environment", "created_by", "rotated_to").prefetch_related(
        Prefetch("endpoints", seen, to_attr="seen"), Prefetch("endpoints", to_attr="reached")
    )


def in_force(actor: Actor, endpoint_id: str, *, most: int = 50) -> list[KeyRow]:
    """The newest keys with which clients may ask this endpoint now.

    Raises:
        NotFound: the endpoint.
    """
    found = key_rows(actor, endpoint=endpoint_id, states=rules.IN_FORCE)
    return rows(list(found.order_by("-created_at", "-pk")[:most]))


def rows(keys: Sequence[EndpointKey]) -> list[KeyRow]:
    """`keys` come from `key_rows`. Three queries, however many there are."""
    used = _used_today([key.pk for key in keys])
    current = _acknowledged({key.environment_id for key in keys})
    return [_row(key, used, acknowledged=key.environment_id in current) for key in keys]


def row(actor: Actor, key_id: str) -> KeyRow:
    """Raises NotFound."""
    key = gate.key_for(actor, key_id)
    return rows([key_rows(actor).get(pk=key.pk)])[0]


def issuable(actor: Actor, environment: str) -> list[str]:
    """The names of the endpoints there for which the actor may issue keys."""
    found = gate.endpoints(actor, "key.issue").filter(environment__name=environment)
    return list(found.order_by("model__name").values_list("model__name", flat=True))


def cannot_issue(actor: Actor, environment: str) -> str:
    """Why there are none of these."""
    seen = gate.endpoints(actor).filter(environment__name=environment)
    endpoint = seen.select_related("model").first()
    if endpoint is None:
        return "There is no endpoint here yet that a key could be for; roll out a version first."
    return authorize.verdict(actor, "key.issue", subjects.of_endpoint(endpoint)).reason


def cannot_change(actor: Actor, key_id: str) -> dict[str, str]:
    """Why the actor may not edit, rotate or revoke it; empty sentences where they may.

    Raises:
        NotFound.
    """
    key = gate.key_for(actor, key_id)
    reached = [subjects.of_endpoint(each) for each in key.endpoints.select_related("model")]

    def reason(action: str) -> str:
        verdicts = (authorize.verdict(actor, action, subject) for subject in reached)
        return next((verdict.reason for verdict in verdicts if not verdict), "")

    return {verb: reason(f"key.{verb}") for verb in ("edit", "rotate", "revoke")}


def _row(key: EndpointKey, used: dict[tuple[str, str], int], *, acknowledged: bool) -> KeyRow:
    seen: list[Endpoint] = getattr(key, "seen", [])
    reached: list[Endpoint] = getattr(key, "reached", [])
    state: str = getattr(key, "state", "")
    return KeyRow(
        id=key.public_id,
        name=key.name,
        environment=key.environment.name,
        endpoints=tuple(endpoint.model.name for endpoint in seen),
        other_endpoints=len(reached) - len(seen),
        state=state,
        requests_per_minute=key.requests_per_minute,
        requests_per_day=key.requests_per_day,
        usage=tuple(_use(key, endpoint, used) for endpoint in seen),
        resets_at=rules.next_day(clock.now()),
        acknowledged=acknowledged,
        created_by=key.created_by.username if key.created_by else "",
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        rotated_to=key.rotated_to.public_id if key.rotated_to else None,
        revision=key.revision,
    )


def _use(key: EndpointKey, endpoint: Endpoint, used: dict[tuple[str, str], int]) -> KeyUse:
    count = used.get((key.pk, endpoint.pk), 0)
    return KeyUse(endpoint.model.name, count, rules.is_used_up(count, key.requests_per_day))


def _state() -> Case:
    """A `KeyState`, by which a list can be filtered."""
    now = clock.now()
    used_up = KeyUsage.objects.filter(
        key=OuterRef("pk"),
        day=_today(),
        requests__gte=OuterRef("requests_per_day"),
        endpoint__keys=OuterRef("pk"),
    )
    return Case(
        When(revoked_at__isnull=False, then=Value(KeyState.REVOKED)),
        When(expires_at__lte=now, then=Value(KeyState.EXPIRED)),
        When(Exists(used_up), then=Value(KeyState.EXHAUSTED)),
        When(expires_at__lte=now + rules.EXPIRES_SOON, then=Value(KeyState.EXPIRING)),
        default=Value(KeyState.ACTIVE),
        output_field=CharField(),
    )


def _used_today(key_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Inferences since midnight (UTC) by key and endpoint."""
    wanted = list(key_ids)
    if not wanted:
        return {}
    found = KeyUsage.objects.filter(day=_today(), key_id__in=wanted)
    return {(each.key_id, each.endpoint_id): each.requests for each in found}


def _today() -> date:
    return clock.now().astimezone(UTC).date()


def _acknowledged(environments: set[str]) -> set[str]:
    """Those whose gateways, and there are some, all run the newest word about who may ask."""
    told = Publication.objects.filter(
        endpoint__environment__in=environments, type_url=Publication.ADMITTED
    )
    newest = dict(
        told.values("endpoint__environment")
        .annotate(newest=Max("generation"))
        .values_list("endpoint__environment", "newest")
    )
    gateways = Gateway.objects.filter(environment__in=environments, removed_at=None).annotate(
        runs=Max("states__acked_generation", filter=Q(states__type_url=routing.ROUTE_TYPE))
    )
    found: dict[str, bool] = {}
    for gateway in gateways:
        current = (getattr(gateway, "runs", 0) or 0) >= newest.get(gateway.environment_id, 0)
        found[gateway.environment_id] = found.get(gateway.environment_id, True) and current
    return {environment for environment, current in found.items() if current}
