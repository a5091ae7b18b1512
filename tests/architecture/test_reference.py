"""The reference says what there is: nothing is left out, and nothing is left over."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from cli.exits import Exit
from cli.main import app
from controlplane.config import Config
from controlplane.config_reference import PAGE, page
from controlplane.problem_pages import groups, parse
from deployments.domain.phrases import Badge
from deployments.domain.rollout import Outcome, Phase, ReasonCode, Waiting
from frontend.words import _TONES
from tests.architecture.codes import all_codes
from tests.architecture.test_budgets import tracked

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
DESCRIBED = {entry.code for group in groups() for entry in group.entries}


def test_every_stable_code_is_described() -> None:
    found = all_codes()
    assert {code: found[code] for code in found.keys() - DESCRIBED} == {}


def test_no_described_code_has_gone() -> None:
    assert DESCRIBED - all_codes().keys() == set()


def test_the_walk_finds_codes_in_each_form_in_which_they_are_written() -> None:
    found = all_codes()
    for code in (
        "rollout:cannot-pause",  # put together
        "model:external-data",  # first argument of a refusal
        "unknown_team",  # second argument of `wrong`
        "stale",  # a class
        "unknown_field",  # `code="…"`
        "not_whole",  # a serializer's field
        "method-not-allowed",  # the framework's
        "xds-nack",  # a reason
    ):
        assert code in found


@pytest.mark.parametrize(
    "text",
    [
        "## Group\n### `a`\nOnly a meaning.\n",
        "## Group\n### a\nNo.\n\nCode.\n",
        "## Group\n" + 2 * "### `a`\nTwice.\n\nDo.\n\n",
    ],
    ids=["no remedy", "no code", "twice"],
)
def test_a_half_written_entry_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="a"):
        parse(text)


def test_every_word_that_people_see_is_explained() -> None:
    said = set(re.findall(r"`([^`]+)`", (REFERENCE / "words.md").read_text()))
    words = {*Badge, *Phase, *Outcome, *Waiting, *ReasonCode, *_TONES} - {""}
    assert {str(word) for word in words} - said == set()


def test_every_setting_says_what_it_means() -> None:
    silent = [name for name, field in Config.model_fields.items() if not field.description]
    assert silent == []


def test_the_page_of_settings_is_the_one_that_the_code_makes() -> None:
    present = PAGE.read_text()
    if present != page(present) and os.environ.get("SLIPWAY_UPDATE_GOLDENS") == "1":
        PAGE.write_text(page(present))
    assert PAGE.read_text() == page(present), "run python -m controlplane.config_reference"


def test_every_setting_is_read_somewhere() -> None:
    source = "\n".join(path.read_text() for path in tracked("*.py") if path.name != "config.py")
    unread = [name for name in Config.model_fields if not re.search(rf"\.{name}\b", source)]
    assert set(unread) <= {"allow_process_hosts"}  # read by `Config.process_hosts_allowed`


def test_every_variable_that_anything_reads_is_documented() -> None:
    """Also those that no `Config` has: of the supervisor, the gateway, the command line, tests."""
    files = tracked("*.py", "*.sh", "Makefile", ".ci/*")
    named = {
        word for path in files for word in re.findall(r"SLIPWAY_[A-Z_]*[A-Z]", path.read_text())
    }
    documented = set(re.findall(r"SLIPWAY_[A-Z_]*[A-Z]", PAGE.read_text()))
    # Beginnings of names, of which the whole is documented.
    parts = {"SLIPWAY_GATEWAY_PORT", "SLIPWAY_GATEWAY", "SLIPWAY_DATABASE"}
    assert named - documented - parts == set()


def test_every_command_and_exit_code_is_documented() -> None:
    page = (REFERENCE / "cli.md").read_text()
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    for name, command in program.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {"": None}
        for verb in inner:
            assert name in page
            assert not verb or f"slipway {name} {verb}" in page or f"`{verb}`" in page
    assert {int(code) for code in re.findall(r"^\| (\d) \|", page, re.MULTILINE)} == set(Exit)


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in tracked("*.md")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []
