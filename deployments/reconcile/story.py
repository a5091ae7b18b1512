"""One endpoint's unfinished rollouts as the domain knows them, read fresh."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.domain import traffic
from deployments.domain.rollout import Spec, Status
from deployments.models import Endpoint, Rollout


@dataclass(frozen=True, slots=True)
class Chapter:
    """A rollout with its spec and status. While it is pending the spec follows the endpoint."""

    row: Rollout
    spec: Spec
    status: Status


@dataclass(frozen=True, slots=True)
class Story:
    """An endpoint and all its unfinished rollouts, oldest first."""

    endpoint: Endpoint
    chapters: tuple[Chapter, ...]

    @property
    def stable(self) -> str | None:
        return self.endpoint.stable_release_id

    def pairs(self, *, without: str | None = None) -> list[tuple[Spec, Status]]:
        return [(each.spec, each.status) for each in self.chapters if each.row.pk != without]


def read(endpoint_id: str) -> Story:
    endpoint = Endpoint.objects.select_related("environment", "model").get(pk=endpoint_id)
    rows = Rollout.objects.filter(endpoint=endpoint).exclude(phase="done").order_by("number")
    return Story(endpoint, tuple(_chapter(endpoint, row) for row in rows))


def _chapter(endpoint: Endpoint, row: Rollout) -> Chapter:
    status = Status.from_json(row.status)
    spec = traffic.rebase(
        Spec.from_json(row.spec), status, endpoint.stable_release_id, endpoint.replicas
    )
    return Chapter(row, spec, status)
