"""What is decided about a request before Django sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from controlplane import routing
from governance.models import ApiToken, User
from tests.factories import people

UPLOAD = "/api/v1/models/tumour/versions"
SMALL = 4 * 1024 * 1024


async def room(path: str = UPLOAD, **headers: str) -> int:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    limit = await routing.body_limit(
        {"type": "http", "method": "POST", "path": path, "headers": raw}
    )
    return limit.size


def _session(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


async def _in_thread(work: Callable[[], str]) -> str:
    return await sync_to_async(work)()


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@pytest.mark.django_db(transaction=True)
class TestRoomForAnUpload:
    async def test_alice_may_send_a_large_one_with_a_token(self) -> None:
        text = await _in_thread(lambda: people.token(people.person("alice")))
        assert await room(**bearer(text)) > SMALL

    async def test_alice_may_send_a_large_one_from_a_page(self) -> None:
        key = await _in_thread(lambda: _session(people.person("alice")))
        assert await room("/models/tumour/versions", cookie=f"a=b; sessionid={key}") > SMALL

    async def test_credentials_that_are_made_up_are_none(self) -> None:
        made_up = ({"authorization": "x"}, {"cookie": "sessionid=" + "a" * 32}, {"cookie": "x"})
        for headers in (*made_up, bearer("slw_nonsense"), {}):
            assert await room(**headers) == SMALL

    async def test_a_revoked_token_is_none(self) -> None:
        text = await _in_thread(lambda: people.token(people.person("alice")))
        await ApiToken.objects.aupdate(revoked_at="2000-01-01T00:00:00Z")
        assert await room(**bearer(text)) == SMALL

    async def test_nothing_else_is_large(self) -> None:
        text = await _in_thread(lambda: people.token(people.person("alice")))
        assert await room("/api/v1/rollouts", **bearer(text)) == SMALL


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("https://localhost", "localhost", True),
        ("http://127.0.0.1:9999", "127.0.0.1:8000", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("http://evil.example", "127.0.0.1:8000", False),
        ("http://evil.example", "evil.example", False),
        ("null", "127.0.0.1:8000", False),
        ("", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000", "", False),
    ],
)
def test_a_socket_is_opened_by_our_own_pages_only(
    origin: str, host: str, ours: bool, settings: Any
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://slipway.example"]
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "slipway.example"]
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    assert routing.is_our_origin(headers) is ours


def test_behind_a_proxy_the_public_address_is_ours(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://slipway.example"]
    headers = [(b"host", b"10.0.0.3:8000"), (b"origin", b"https://slipway.example")]
    assert routing.is_our_origin(headers)


class TestPlainPolls:
    @pytest.fixture(autouse=True)
    def production(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.PRODUCTION = True
        monkeypatch.setattr(routing, "_PLAIN_POLL_SECONDS", 0.0)
        monkeypatch.setattr(routing, "XDS_APPLICATION", f"{__name__}:_served")

    @staticmethod
    async def status(scheme: str, *headers: tuple[bytes, bytes]) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        path = "/v3/discovery:routes"
        scope = {"type": "http", "scheme": scheme, "path": path, "headers": list(headers)}
        await routing.application(scope, lambda: None, send)  # type: ignore[arg-type,return-value]
        return int(sent[0]["status"])

    async def test_in_production_a_gateway_that_asks_plainly_is_refused(self) -> None:
        assert await self.status("http") == 403
        assert await self.status("https") == 200

    async def test_nobody_but_the_configured_proxy_can_say_that_it_was_tls(
        self, settings: Any
    ) -> None:
        said = (b"x-forwarded-proto", b"https")
        assert await self.status("http", said) == 403
        settings.CONFIG = settings.CONFIG.model_copy(update={"behind_tls_proxy": True})
        assert await self.status("http", said) == 200
        assert await self.status("http", (b"x-forwarded-proto", b"http")) == 403

    async def test_the_embedded_profile_is_plain(self, settings: Any) -> None:
        settings.PRODUCTION = False
        assert await self.status("http") == 200


async def _served(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
