"""Several people at the same moment, with real threads and real transactions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from core.errors import Stale
from deployments.models import Artifact, Model, Version
from deployments.services import aliases, versions
from governance.models import AuditEvent, Team, User
from tests.app.deployments.conftest import ONNX, stored_files
from tests.factories import people
from tests.factories.people import actor
from tests.fakes.sandbox import FakeSandbox

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 6


def at_once(work: Callable[[int], Any]) -> list[Any]:
    def run(number: int) -> Any:
        try:
            return work(number)
        except Stale as problem:
            return problem
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


@pytest.fixture
def team_risk(transactional_db: None) -> Team:
    return people.team("risk")


@pytest.fixture
def engineer(team_risk: Team) -> User:
    user = people.person("alice")
    people.bind(user, "ml_engineer", scope_kind="team", scope_id=team_risk.pk)
    return user


@pytest.fixture
def model(team_risk: Team) -> Model:
    return Model.objects.create(name="tumour", team=team_risk)


def test_uploads_at_once_get_a_number_each_and_none_is_left_out(
    engineer: User, model: Model, tmp_path: Path, sandbox: FakeSandbox, artifacts: Path
) -> None:
    def register(number: int) -> int:
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(ONNX + bytes([number % 2]))
        made = versions.register(actor=actor(engineer), model="tumour", path=path)
        return made.number

    assert sorted(at_once(register)) == list(range(1, AT_ONCE + 1))
    assert Version.objects.count() == AuditEvent.objects.count() == AT_ONCE
    # Two different files were sent, three times each.
    names = {str(path.relative_to(artifacts)) for path in stored_files(artifacts)}
    assert {row.storage_name for row in Artifact.objects.all()} == names
    assert len(names) == 2


def test_of_many_moves_from_the_same_state_one_wins(
    engineer: User, model: Model, onnx_file: Path, sandbox: FakeSandbox
) -> None:
    who = actor(engineer)
    versions.register(actor=who, model="tumour", path=onnx_file)
    made = aliases.move(actor=who, model="tumour", alias="champion", version=1)

    def move(number: int) -> Any:
        return aliases.move(
            actor=actor(engineer),
            model="tumour",
            alias="champion",
            version=1,
            revision=made.revision,
            reason=str(number),
        )

    outcomes = at_once(move)
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == AT_ONCE - 1
