"""/docs/problems/: what each code means, from the one file that also stands in the repository.

The form of `docs/reference/problems.md`: `## ` begins a group, `### ` with the code in backticks an
entry; an entry's first paragraph says what happened and the rest what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.domain.catalogue import PUBLIC
from governance.domain.declare import declares

SOURCE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "problems.md"
_CODE = re.compile(r"### `([^`]+)`")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; `is_code` for what stood in backticks."""

    text: str
    is_code: bool


Paragraph = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    code: str
    means: Paragraph
    remedy: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    about: tuple[Paragraph, ...]
    entries: tuple[Entry, ...]


def parse(text: str) -> tuple[Group, ...]:
    """
    Raises:
        ValueError: an entry lacks its meaning or its remedy, or a code is there twice.
    """
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    groups = tuple(_group(section) for section in sections)
    codes = [entry.code for group in groups for entry in group.entries]
    if twice := {code for code in codes if codes.count(code) > 1}:
        raise ValueError(f"described twice: {', '.join(sorted(twice))}")
    return groups


def _group(section: str) -> Group:
    head, *entries = re.split(r"^(?=### )", section, flags=re.MULTILINE)
    title, _, about = head.partition("\n")
    return Group(title.strip(), tuple(_paragraphs(about)), tuple(map(_entry, entries)))


def _entry(text: str) -> Entry:
    head, _, body = text.partition("\n")
    named = _CODE.fullmatch(head.strip())
    paragraphs = tuple(_paragraphs(body))
    if named is None or len(paragraphs) < 2:
        raise ValueError(f"{head.strip()!r} is no code with a meaning and a remedy")
    return Entry(named[1], paragraphs[0], paragraphs[1:])


def _paragraphs(text: str) -> Iterator[Paragraph]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if line := " ".join(paragraph.split()):
            pieces = enumerate(line.split("`"))
            yield tuple(Piece(piece, at % 2 == 1) for at, piece in pieces if piece)


@cache
def groups() -> tuple[Group, ...]:
    """Read once per process: the file comes with the code."""
    return parse(SOURCE.read_text(encoding="utf-8"))


@declares(PUBLIC)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Every code, by group."""
    return render(request, "controlplane/problems.html", {"groups": groups()})


@declares(PUBLIC)
@require_safe
def one(request: HttpRequest, code: str) -> HttpResponse:
    """The page that a problem's `type` points to."""
    for group in groups():
        for entry in group.entries:
            if entry.code == code:
                context = {"entry": entry, "group": group}
                return render(request, "controlplane/problem.html", context)
    raise Http404
