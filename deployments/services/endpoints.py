"""Whether an endpoint asks its clients for a key."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from core import live
from deployments import publish
from deployments.models import Endpoint
from deployments.selectors import gate, subjects
from governance import audit, authorize
from governance.domain.access import Actor


def open_to_all(*, actor: Actor, endpoint_id: str, reason: str = "") -> Endpoint:
    """Let everybody ask this endpoint who reaches its gateways, without a key. Only ever declared
    on purpose; doing it twice is doing it once.

    Raises:
        NotFound, NotAllowed.
    """
    return _declare(actor, endpoint_id, "endpoint.open", is_open=True, reason=reason)


def require_keys(*, actor: Actor, endpoint_id: str, reason: str = "") -> Endpoint:
    """Ask every client for a key again, as is the rule.

    Raises:
        NotFound, NotAllowed.
    """
    return _declare(actor, endpoint_id, "endpoint.close", is_open=False, reason=reason)


def _declare(
    actor: Actor, endpoint_id: str, action: str, *, is_open: bool, reason: str
) -> Endpoint:
    endpoint = gate.endpoint_for(actor, endpoint_id)
    authorize.require(actor, action, subjects.of_endpoint(endpoint))
    with transaction.atomic():
        others = Endpoint.objects.filter(pk=endpoint.pk).exclude(is_open=is_open)
        if others.update(is_open=is_open, revision=F("revision") + 1):
            audit.record(actor, action, subjects.of_endpoint(endpoint), reason=reason)
            publish.publish(endpoint.environment_id)
            live.changed(f"endpoint:{endpoint.public_id}", endpoint.revision + 1)
            live.changed("fleet", endpoint.revision + 1)
    endpoint.refresh_from_db()
    return endpoint
