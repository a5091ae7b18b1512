"""Which topics there are, and who may listen to them.

fleet                       something changed in what runs where
endpoint:<end_…>            the endpoint, its rollouts or its replicas changed
endpoint:<end_…>:traffic    chart frames
build:<bld_…>               a build went on: its state, or new lines of its log
"""

from __future__ import annotations

from core.errors import NotFound
from deployments.selectors import gate
from governance import authorize
from governance.domain.access import Actor

FLEET = "fleet"
LONGEST = 120
_KIND = "endpoint"
_TRAFFIC = "traffic"
_BUILD = "build"


def of_endpoint(public_id: str) -> str:
    return f"{_KIND}:{public_id}"


def of_traffic(public_id: str) -> str:
    return f"{_KIND}:{public_id}:{_TRAFFIC}"


def of_build(public_id: str) -> str:
    return f"{_BUILD}:{public_id}"


def require(actor: Actor, topic: str) -> None:
    """Return when `actor` may listen to `topic`.

    Raises:
        NotFound: there is no such topic, or what it is about is invisible to them.
        NotAllowed: they may see nothing of that kind.
    """
    if topic == FLEET:
        authorize.require_anywhere(actor, "endpoint.read")
        return
    match topic.split(":"):
        case [kind, public_id] | [kind, public_id, _] if kind == _KIND and topic in (
            of_endpoint(public_id),
            of_traffic(public_id),
        ):
            gate.endpoint_for(actor, public_id)
        case [kind, public_id] if kind == _BUILD:
            gate.build_for(actor, public_id)
        case _:
            raise NotFound(f"There is no topic {topic[:60]!r}.", code="topic:not-found")
