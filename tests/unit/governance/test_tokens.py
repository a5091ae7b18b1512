"""API tokens as text."""

from __future__ import annotations

import re

import pytest

from core.redact import redact
from governance.domain import tokens


def test_a_token_has_the_form_that_secret_scanners_look_for() -> None:
    made = tokens.generate()
    assert re.fullmatch(r"slw_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", made.text)
    assert tokens.parse(made.text) == made


def test_no_two_tokens_are_alike() -> None:
    assert len({tokens.generate().text for _ in range(200)}) == 200


def test_a_mistyped_token_is_refused_by_its_checksum() -> None:
    text = tokens.generate().text
    for place in (5, 20, len(text) - 1):
        other = "a" if text[place] != "a" else "b"
        assert tokens.parse(text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "slw_", "slw_x_y_z", "Bearer", "slw_" + "é" * 59, "\x00" * 63]
)
def test_what_is_no_token_is_none(text: str) -> None:
    assert tokens.parse(text) is None


def test_the_log_never_shows_a_token() -> None:
    text = tokens.generate().text
    assert text not in redact(f"sent {text} twice: {text}")


def test_the_log_never_shows_a_login_link() -> None:
    assert redact("GET /accounts/link/Ab-9_x") == "GET /accounts/link/***"
