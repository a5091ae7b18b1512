"""Deny by default has no gaps: whatever can be called from outside says what it does.

API views declare per method, everything else has one `action`. A new address, socket, task or
command without one fails here, before anybody can call it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from controlplane.celery import app as celery_app
from governance.api.permissions import DeclaredAction, declared
from governance.domain.catalogue import CATALOGUE, PUBLIC, is_declarable

ROOT = Path(__file__).resolve().parents[2]
OURS = {"core", "governance", "deployments", "monitoring", "frontend", "controlplane"}
READS = {"GET", "HEAD"}


def addresses(resolver: Any = None, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


VIEWS = dict(addresses())
API_VIEWS = {
    path: callback.cls
    for path, callback in VIEWS.items()
    if isinstance(getattr(callback, "cls", None), type) and issubclass(callback.cls, APIView)
}
API_METHODS = [
    (path, method.upper())
    for path, view in API_VIEWS.items()
    for method in view.http_method_names
    if hasattr(view, method) and method != "options"
]


def action_of(thing: Any) -> Any:
    """The one action of a function, a class-based view, a consumer, a task or a command."""
    for place in (thing, getattr(thing, "view_class", None), getattr(thing, "run", None)):
        if isinstance(found := getattr(place, "action", None), str):
            return found
    return None


@pytest.mark.parametrize(("path", "method"), API_METHODS)
def test_each_method_of_an_api_view_declares_a_known_action(path: str, method: str) -> None:
    view = API_VIEWS[path]
    action = declared(view, method)
    assert action is not None, f"{view.__name__} declares nothing for {method}"
    assert is_declarable(action), f"{action} is not in the catalogue"
    assert list(view.permission_classes) == [DeclaredAction]


@pytest.mark.parametrize(("path", "method"), API_METHODS)
def test_what_only_reads_declares_reading_and_what_changes_declares_a_change(
    path: str, method: str
) -> None:
    action = declared(API_VIEWS[path], method) or ""
    harmless = action == PUBLIC or action.endswith((".read", ".logs", ".download"))
    assert harmless == (method in READS)


@pytest.mark.parametrize("path", [path for path in VIEWS if path not in API_VIEWS])
def test_each_page_declares_a_known_action(path: str) -> None:
    action = action_of(VIEWS[path])
    assert action is not None, f"{VIEWS[path]} declares no action"
    assert is_declarable(action), f"{action} is not in the catalogue"


def test_each_consumer_declares_a_known_action() -> None:
    if importlib.util.find_spec("frontend.routing") is None:
        pytest.fail("frontend.routing is where the consumers are")
    from frontend.routing import websocket_urlpatterns

    assert websocket_urlpatterns
    for pattern in websocket_urlpatterns:
        consumer = getattr(pattern.callback, "consumer_class", pattern.callback)
        assert is_declarable(str(action_of(consumer))), consumer


def our_tasks() -> dict[str, Any]:
    celery_app.loader.import_default_modules()
    return {name: task for name, task in celery_app.tasks.items() if not name.startswith("celery.")}


def test_each_task_declares_an_action_of_slipway_itself() -> None:
    for name, task in our_tasks().items():
        action = action_of(task)
        assert action in CATALOGUE, f"the task {name} declares no known action"
        assert CATALOGUE[action].by_system, f"the task {name} does what only people do"


def test_each_scheduled_task_exists() -> None:
    scheduled = {entry["task"] for entry in celery_app.conf.beat_schedule.values()}
    assert scheduled <= our_tasks().keys()


def test_each_command_declares_a_known_action() -> None:
    ours = {name: app for name, app in get_commands().items() if app in OURS}
    assert {"bootstrap_admin", "login_link"} <= ours.keys()
    for name, app in ours.items():
        action = action_of(load_command_class(app, name))
        assert action in CATALOGUE, f"the command {name} declares no known action"


def test_every_app_of_ours_is_walked() -> None:
    installed = {name for name in settings.INSTALLED_APPS if (ROOT / name).is_dir()}
    assert installed == OURS
    assert len(API_METHODS) > 10
