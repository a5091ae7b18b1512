"""Requests are counted, whoever sends them."""

from __future__ import annotations

import pytest

from core.api import ratelimit
from core.api.ratelimit import Limiter, LocalBuckets
from governance.models import User
from tests.factories import people
from tests.factories.api import Api, refused_with


@pytest.fixture(autouse=True)
def _small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Limiter(LocalBuckets(lambda: 0.0), per_minute=4, writes_per_minute=2)
    monkeypatch.setattr(ratelimit, "limiter", lambda: small)


def test_an_answer_says_what_is_left(admin_api: Api) -> None:
    response = admin_api.get("/me")
    assert response["RateLimit-Policy"] == '"default";q=4;w=60'
    assert response["RateLimit"] == '"default";r=3;t=15'


def test_beyond_the_limit_nothing_is_done(admin_api: Api) -> None:
    for name in ("a", "b"):
        assert admin_api.post("/teams", {"name": name}).status_code == 201
    response = admin_api.post("/teams", {"name": "c"})
    assert refused_with(response, 429, "rate-limited")
    assert response["Retry-After"] == "30"
    assert admin_api.get("/teams").status_code == 200


def test_one_token_does_not_use_up_another(admin: User) -> None:
    first, second = (Api(token=people.token(admin)) for _ in range(2))
    assert [first.get("/me").status_code for _ in range(5)][-1] == 429
    assert second.get("/me").status_code == 200


def test_guessing_tokens_is_limited_too(db: None) -> None:
    guesses = [Api(token=f"guess-{number}").get("/me").status_code for number in range(6)]
    assert guesses == [401] * 4 + [429] * 2


def test_saying_to_come_from_elsewhere_helps_nobody(anonymous: Api) -> None:
    statuses = [
        anonymous.get("/me", x_forwarded_for=f"10.0.0.{number}").status_code for number in range(6)
    ]
    assert statuses == [401] * 4 + [429] * 2
