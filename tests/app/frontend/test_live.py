"""The websocket: who may listen to what, and what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.conf import settings
from django.test import Client

from core.live import group_name
from deployments.models import Endpoint, Environment, Model
from frontend import consumers
from frontend.routing import websocket_urlpatterns
from governance.models import RoleBinding, Team, User
from tests.app.frontend.sockets import Socket
from tests.factories import people

pytestmark = pytest.mark.django_db(transaction=True)


def _made() -> tuple[Client, str]:
    """Charlie's browser, and the topic of an endpoint."""
    team = Team.objects.create(name="risk")
    model = Model.objects.create(name="tumour", team=team)
    environment, _ = Environment.objects.get_or_create(
        name="staging", defaults={"smoke_secret": "s"}
    )
    endpoint = Endpoint.objects.create(model=model, environment=environment)
    user = people.person("charlie")
    people.bind(user, "viewer")
    client = Client()
    client.force_login(user)
    return client, f"endpoint:{endpoint.public_id}"


@pytest.fixture
def world(transactional_db: None) -> tuple[Client, str]:
    return _made()


@asynccontextmanager
async def socket(client: Client | None) -> AsyncIterator[Socket]:
    headers = []
    if client is not None:
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        headers = [(b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode())]
    application = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
    opened = Socket(application, "/ws/live", headers)
    assert await opened.connect(), "it accepts first: a code sent before never reaches the page"
    try:
        yield opened
    finally:
        await opened.disconnect()


async def subscribe(to: Socket, *topics: str) -> None:
    await to.ask("subscribe", *topics)
    for topic in topics:
        assert await to.hear() == {"type": "changed", "topic": topic, "revision": 0}


async def publish(topic: str, **message: Any) -> None:
    layer = get_channel_layer()
    await layer.group_send(group_name(topic), {"topic": topic, **message})


async def test_whoever_is_not_signed_in_is_told_to_sign_in(world: tuple[Client, str]) -> None:
    async with socket(None) as opened:
        assert await opened.closed_with() == consumers.NOT_SIGNED_IN


async def test_a_change_arrives_as_a_topic_and_a_revision(world: tuple[Client, str]) -> None:
    client, topic = world
    async with socket(client) as opened:
        await subscribe(opened, topic, "fleet")
        await publish(topic, type="live.changed", revision=7)
        assert await opened.hear() == {
            "type": "changed",
            "topic": topic,
            "revision": 7,
        }


async def test_chart_frames_arrive_on_their_own_topic(world: tuple[Client, str]) -> None:
    client, topic = world
    async with socket(client) as opened:
        await subscribe(opened, f"{topic}:traffic")
        await publish(f"{topic}:traffic", type="live.frame", points={"at": 5, "releases": {}})
        frame = await opened.hear()
        assert (frame["type"], frame["points"]["at"]) == ("frame", 5)


async def test_nothing_arrives_of_a_topic_that_was_left(world: tuple[Client, str]) -> None:
    client, topic = world
    async with socket(client) as opened:
        await subscribe(opened, topic, "fleet")
        await opened.ask("unsubscribe", topic)
        await publish(topic, type="live.changed", revision=1)
        await publish("fleet", type="live.changed", revision=2)
        assert (await opened.hear())["topic"] == "fleet"


@pytest.mark.parametrize(
    "topic", ["endpoint:end_01AAAAAAAAAAAAAAAAAAAAAAAA", "endpoint:x:y:z", "secrets", "endpoint:"]
)
async def test_a_topic_that_does_not_exist_closes_as_such(
    world: tuple[Client, str], topic: str
) -> None:
    async with socket(world[0]) as opened:
        await opened.ask("subscribe", topic)
        assert await opened.closed_with() == consumers.NOT_FOUND


async def test_an_endpoint_that_is_not_theirs_looks_as_if_it_did_not_exist(
    world: tuple[Client, str],
) -> None:
    client, topic = world
    await sync_to_async(RoleBinding.objects.all().delete)()
    async with socket(client) as opened:
        await opened.ask("subscribe", topic)
        assert await opened.closed_with() == consumers.NOT_FOUND
    async with socket(client) as opened:
        await opened.ask("subscribe", "fleet")
        assert await opened.closed_with() == consumers.NOT_ALLOWED


def _role_ends() -> None:
    RoleBinding.objects.all().delete()


def _account_is_disabled() -> None:
    User.objects.update(is_active=False)


def _signed_out() -> None:
    engine = import_module(settings.SESSION_ENGINE)
    engine.SessionStore.get_model_class().objects.all().delete()


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (_role_ends, consumers.NOT_FOUND),
        (_account_is_disabled, consumers.NOT_SIGNED_IN),
        (_signed_out, consumers.NOT_SIGNED_IN),
    ],
)
async def test_what_was_allowed_is_asked_again(
    world: tuple[Client, str],
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[], None],
    code: int,
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.05)
    client, topic = world
    async with socket(client) as opened:
        await subscribe(opened, topic)
        await sync_to_async(happens)()
        assert await opened.closed_with() == code


async def test_a_flood_of_messages_is_cut_off(world: tuple[Client, str]) -> None:
    async with socket(world[0]) as opened:
        for _ in range(2 * consumers.MOST_MESSAGES_PER_SECOND + 2):
            await opened.ask("unsubscribe")
        assert await opened.closed_with() == consumers.TOO_SLOW


async def test_a_message_that_is_too_long_is_cut_off(world: tuple[Client, str]) -> None:
    async with socket(world[0]) as opened:
        await opened.say("x" * (consumers.MOST_BYTES + 1))
        assert await opened.closed_with() == consumers.TOO_SLOW


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "subscribe", "topics": "fleet"}', "5"])
async def test_what_cannot_be_read_asks_for_nothing(world: tuple[Client, str], text: str) -> None:
    async with socket(world[0]) as opened:
        await opened.say(text)
        await subscribe(opened, "fleet")


async def test_a_browser_that_takes_nothing_is_given_up(
    world: tuple[Client, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "SEND_SECONDS", 0.05)
    sent: list[str] = []

    async def stuck(self: Any, text_data: str | None = None, **_: Any) -> None:
        sent.append(text_data or "")
        await asyncio.sleep(60)

    monkeypatch.setattr(consumers.LiveConsumer, "send", stuck)
    async with socket(world[0]) as opened:
        await opened.ask("subscribe", "fleet")
        assert await opened.closed_with() == consumers.TOO_SLOW
    assert len(sent) == 1
