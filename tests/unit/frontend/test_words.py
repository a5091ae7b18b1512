"""Small words and marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployments.domain.keys import KeyState
from deployments.domain.phrases import Badge
from deployments.domain.progress import StepState
from frontend.sparkline import HEIGHT, WIDTH, sparkline
from frontend.words import ago_words, badge_of, duration_words, step_icon

SCRIPT = Path(__file__).parents[3] / "frontend" / "static" / "frontend" / "js" / "times.js"


@pytest.mark.parametrize("state", [*Badge, "serving", "degraded", "down", "empty", *KeyState])
def test_every_state_that_the_engine_knows_has_a_word_a_tone_and_an_icon(state: str) -> None:
    badge = badge_of(str(state))
    assert badge.word
    assert badge.tone in {"ok", "busy", "warn", "danger", "idle"}
    assert badge.icon != "info", "it is shown as something unknown"


def test_a_state_of_a_newer_engine_is_shown_as_it_is() -> None:
    assert badge_of("half-way").word == "Half way"


@pytest.mark.parametrize("state", list(StepState))
def test_every_state_of_a_step_has_an_icon(state: StepState) -> None:
    assert step_icon(str(state))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (9.9, "just now"),
        (10, "10 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (2 * 86400, "2 d ago"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert ago_words(seconds) == words


def test_the_script_that_keeps_times_true_knows_the_same_units() -> None:
    units = re.findall(r"\[(\d+), \"(\w+)\"\]", SCRIPT.read_text())
    assert units == [("86400", "d"), ("3600", "h"), ("60", "min")]


def test_durations_are_exact_when_they_are_short() -> None:
    assert [duration_words(each) for each in (4.24, 45.4, 125, 7300)] == [
        "4.2 s",
        "45 s",
        "2 min 5 s",
        "2 h 1 min",
    ]


def test_a_sparkline_stays_inside_its_box_and_starts_at_zero() -> None:
    drawn = sparkline([0, 5, 10])
    points = [tuple(map(float, pair.split(","))) for pair in drawn.line.split()]
    assert [x for x, _ in points] == [0, WIDTH / 2, WIDTH]
    assert all(0 <= y <= HEIGHT for _, y in points)
    assert points[0][1] > points[1][1] > points[2][1]
    assert "between 0 and 10, now 10" in drawn.label


def test_no_traffic_draws_no_line() -> None:
    assert sparkline([0.0, 0.0]).line == ""
    assert sparkline([]).line == ""
