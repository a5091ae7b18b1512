"""Reading what replicas wrote. Not a selector, because it asks the hosts."""

from __future__ import annotations

from core import ids
from core.errors import NotFound
from core.redact import redact
from deployments.adapters import database, hosts
from deployments.models import Endpoint, Replica
from deployments.ports import HostRefused, HostSilent
from deployments.selectors import endpoints, gate, subjects
from deployments.selectors.cards import LogRow
from governance import authorize
from governance.domain.access import Actor

MAX_LINES = 2000
MAX_REPLICAS = 16


def read(
    *, actor: Actor, endpoint_id: str, replica_id: str | None = None, lines: int = 500
) -> list[LogRow]:
    """The last lines of one replica, or of all that run or failed lately.

    Raises:
        NotFound, NotAllowed.
    """
    endpoint = gate.endpoint_for(actor, endpoint_id)
    authorize.require(actor, "endpoint.logs", subjects.of_endpoint(endpoint))
    copies = _replicas(endpoint, replica_id)
    database.let_go()
    return [_log(copy, min(lines, MAX_LINES)) for copy in copies]


def _replicas(endpoint: Endpoint, replica_id: str | None) -> list[Replica]:
    rows = Replica.objects.filter(release__endpoint=endpoint).select_related("host", "release")
    if replica_id is None:
        shown = rows.filter(endpoints.shown_replicas())
        return list(shown.order_by("-created_at", "-pk")[:MAX_REPLICAS])
    copy = rows.filter(pk=ids.parse(replica_id, Replica.PREFIX)).first()
    if copy is None:
        raise NotFound(f"There is no replica {replica_id[:60]!r}.", code="replica:not-found")
    return [copy]


def _log(copy: Replica, lines: int) -> LogRow:
    text, silent = "", False
    if copy.host.removed_at is None:
        try:
            text = hosts.connect(copy.host).log(copy.public_id, lines=lines)
        except (HostSilent, HostRefused):
            silent = True
    # What an ended replica left with us outlives its folder on the host.
    text = text or "\n".join(copy.log_tail.splitlines()[-lines:])
    return LogRow(copy.public_id, copy.release.public_id, copy.host.name, redact(text), silent)
