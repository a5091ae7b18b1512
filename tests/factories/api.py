"""Talking to /api/v1 as somebody."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from governance.models import User

BASE = "/api/v1"


class Api:
    """A client of the API: anonymous, with a token, or with somebody's session."""

    def __init__(self, *, token: str = "", user: User | None = None) -> None:
        # A view that fails is a 500 here, as it is for whoever calls: tests look at the answer.
        self.client = Client(raise_request_exception=False)
        self.token = token
        if user is not None:
            self.client.force_login(user)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """Headers are keyword arguments: `if_match='"v1"'`. Bytes are sent as they are."""
        sent = {name.replace("_", "-").title(): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        return self.client.generic(
            method,
            BASE + path,
            data,
            content_type=sent.pop("Content-Type", "application/json"),
            headers=sent,
        )


def refused_with(response: Any, status: int, code: str) -> bool:
    """Whether this is that problem, in the form that all problems have."""
    assert response["Content-Type"] == "application/problem+json", response.content
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response["X-Request-Id"]
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    assert (response.status_code, problem["code"]) == (status, code), problem
    return True
