"""Every stable code that the source can answer with, found by reading it.

A code is found where it is written down: as `code="…"`, as a class' `code`, as an argument of
one of the functions below, or by its form (`subject:what-is-wrong`). A code that is put together
(`f"{kind}:not-found"`) must be listed in `MADE_OF`, with everything it can become.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.urls import get_resolver
from rest_framework import serializers

from controlplane import api
from core.api.serializers import StrictSerializer
from deployments.domain.actions import Verb
from deployments.domain.rollout import ReasonCode
from governance.domain.catalogue import TokenScope

ROOT = Path(__file__).parents[2]
PACKAGES = ("controlplane", "frontend", "monitoring", "deployments", "governance", "core")
PROGRAMS = ("modelserver", "wire")

FORM = re.compile(r"[a-z]+:[a-z-]*[a-z]")
# Functions that take a code without naming it, and which argument it is.
TAKERS = {"FieldProblem": 1, "wrong": 1, "BadStrategy": 1, "Refusal": 0}
# Looks like a code and is none.
OTHER_WORDS = {scope.value for scope in TokenScope} | {"slipway:snapshots", "server:grpc"}
# A template ends up as one of these.
MADE_OF = {
    "rollout:cannot-{}": [f"rollout:cannot-{verb}" for verb in Verb],
    "{}:not-found": [
        f"{kind}:not-found"
        for kind in (
            *("model", "version", "alias", "environment", "host", "gateway", "endpoint"),
            *("release", "rollout", "operation", "key", "image", "build"),
        )
    ],
    "invalid_{}": ["invalid_wait", "invalid_lines"],
    "{}:invalid": [f"{kind}:invalid" for kind in ("manifest", "report", "histogram", "signature")],
    "model:unsupported-{}": ["model:unsupported-input", "model:unsupported-output"],
    "input:{}": [
        f"input:{what}"
        for what in ("data", "datatype", "encoding", "length", "nonfinite", "range", "shape")
    ],
    "output:{}": [f"output:{what}" for what in ("datatype", "nonfinite", "shape")],
    "request:{}": ["request:inputs", "request:outputs"],
}
# Templates of that form which are no codes: keys of caches, leases, buckets, live topics, and the
# names of clusters.
OTHER_TEMPLATES = {
    "heartbeat:{}",
    "ip:{}",
    "{}:{}",
    "endpoint:{}",
    "model:{}",
    "build:{}",
    "{}:grpc",
}


def sources(*packages: str) -> Iterator[tuple[Path, ast.Module]]:
    for package in packages or PACKAGES + PROGRAMS:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())


def written() -> Iterator[tuple[str, str]]:
    """Each code with the place where it is written."""
    for path, tree in sources():
        for node in ast.walk(tree):
            for code in (*_named(node), *_formed(node)):
                yield code, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def _named(node: ast.AST) -> Iterator[str]:
    values: list[ast.expr | None] = []
    match node:
        case ast.ClassDef():
            for line in node.body:
                targets = line.targets if isinstance(line, ast.Assign) else []
                if isinstance(line, ast.AnnAssign):
                    targets = [line.target]
                if any(isinstance(name, ast.Name) and name.id == "code" for name in targets):
                    values.append(line.value)  # type: ignore[union-attr]
        case ast.Call():
            values += [given.value for given in node.keywords if given.arg == "code"]
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = TAKERS.get(name)
            if at is not None and at < len(node.args):
                values.append(node.args[at])
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
        elif isinstance(value, ast.JoinedStr):
            yield from MADE_OF[_template(value)]


def _formed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if FORM.fullmatch(node.value) and node.value not in OTHER_WORDS:
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        template = _template(node)
        if re.fullmatch(r"[a-z{}]+:[a-z{}-]+", template) and template not in OTHER_TEMPLATES:
            yield from MADE_OF[template]


def _template(node: ast.JoinedStr) -> str:
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
    )


def of_the_framework() -> set[str]:
    return {code for _, code, _ in api._FRAMEWORK.values()}


def of_serializers() -> set[str]:
    """What can be wrong with a field of any request body."""
    assert get_resolver().url_patterns  # loads every view, and with it every serializer
    codes: set[str] = set()
    todo: list[type[Any]] = [StrictSerializer]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        codes |= set(kind.default_error_messages)
        for field in kind().fields.values():
            codes |= _of_field(field)
    return codes


def _of_field(field: serializers.Field[Any, Any, Any, Any]) -> set[str]:
    codes = set(field.error_messages)
    codes |= {code for code in (getattr(each, "code", None) for each in field.validators) if code}
    child = getattr(field, "child", None)
    return codes | (_of_field(child) if child is not None else set())


def of_rollouts() -> set[str]:
    return {str(code) for code in ReasonCode}


def all_codes() -> dict[str, str]:
    """Every code, and one place that it comes from."""
    codes = dict.fromkeys(of_serializers(), "a request body")
    codes |= dict.fromkeys(of_the_framework(), "controlplane/api.py")
    codes |= dict.fromkeys(of_rollouts(), "deployments/domain/rollout.py")
    return codes | dict(written())
