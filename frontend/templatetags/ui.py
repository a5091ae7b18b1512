"""Small words and marks that every page uses."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import clock
from frontend.words import Badge, ago_words, badge_of

register = template.Library()

_BYTES = ("B", "kB", "MB", "GB")


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A drawing from the sprite; always beside a word, so it is hidden from screen readers."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="#i-{}"></use></svg>',
        extra,
        name,
    )


@register.simple_tag
def badge(word: str | Badge) -> SafeString:
    """A state as a word with its icon and tone."""
    shown = word if isinstance(word, Badge) else badge_of(word)
    spin = "spin" if shown.icon == "loader" else ""
    return format_html(
        '<span class="badge" data-tone="{}">{}{}</span>',
        shown.tone,
        icon(shown.icon, spin),
        shown.word,
    )


@register.simple_tag
def ago(moment: datetime | None, never: str = "never") -> SafeString | str:
    """How long ago, with the exact moment as the title; a script keeps it true."""
    if moment is None:
        return never
    utc = moment.astimezone(UTC)
    seconds = max(0.0, (clock.now() - utc).total_seconds())
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        ago_words(seconds),
    )


@register.filter
def rate(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


@register.filter
def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


@register.filter
def percent(value: float | None) -> str:
    """A share between 0 and 1 as per cent."""
    if value is None:
        return "–"
    shown = 100 * value
    return "0" if shown == 0 else "< 0.1" if shown < 0.1 else f"{shown:.1f}"


@register.filter
def filesize(value: int) -> str:
    amount = float(value)
    for unit in _BYTES:
        if amount < 1000 or unit == _BYTES[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return str(value)


@register.filter
def short(digest: str) -> str:
    """The first characters of a digest, enough to tell two apart."""
    return f"{digest.removeprefix('sha256:')[:12]}…" if digest else "–"
