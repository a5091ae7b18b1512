"""What surrounds every page: theme and way around. As tags, so that allauth's pages have them."""

from __future__ import annotations

from dataclasses import dataclass

from django import template
from django.http import HttpRequest
from django.template import RequestContext
from django.urls import reverse

from frontend.themes import theme_of

register = template.Library()


@dataclass(frozen=True, slots=True)
class NavItem:
    title: str
    icon: str
    key: str
    url: str
    current: bool


_MAIN = (
    ("Fleet", "layers", "f", "fleet", ("fleet", "endpoint")),
    ("Models", "boxes", "m", "models", ("models", "model")),
    ("Keys", "key", "k", "keys", ("keys", "key", "key-issue", "key-edit", "key-rotate")),
    ("Audit", "scroll-text", "a", "audit", ("audit",)),
)
_SETTINGS = (
    ("Environments", "server", "e", "environments", ("environments",)),
    ("API tokens", "terminal", "t", "tokens", ("tokens",)),
    ("Account", "user", "u", "account", ("account",)),
)


@register.simple_tag(takes_context=True)
def theme(context: RequestContext) -> str:
    request = context.get("request")
    return theme_of(request) if isinstance(request, HttpRequest) else "system"


@register.simple_tag(takes_context=True)
def navigation(context: RequestContext) -> dict[str, list[NavItem]]:
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    here = match.url_name or "" if match else ""
    return {"main": _items(_MAIN, here), "settings": _items(_SETTINGS, here)}


def _items(
    entries: tuple[tuple[str, str, str, str, tuple[str, ...]], ...], here: str
) -> list[NavItem]:
    return [
        NavItem(title, icon, key, reverse(name), here in names)
        for title, icon, key, name, names in entries
    ]
