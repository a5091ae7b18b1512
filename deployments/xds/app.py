"""The xDS endpoint: a plain ASGI app, mounted before Django. Gateways get their certificates here
too, because the same token proves who they are.

A poll is judged when it arrives and again whenever the snapshot has changed while it was held. What
is served is recorded before it is sent: a web process killed in between has then counted one time
too many, which costs a repetition, where one time too few would cost nothing either but could go on
for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from deployments.domain import acknowledgement
from deployments.domain.acknowledgement import Answer, Judgement, PollState
from deployments.domain.gateways import token_hash, token_matches
from deployments.domain.routing import EnvironmentRoutes, derive
from deployments.xds import polls
from deployments.xds.certificates import CertificateDesk, Certify
from deployments.xds.polls import Poll, Receive, Scope, Send
from deployments.xds.ports import RegisteredGateway, Snapshot, SnapshotStore
from deployments.xds.watcher import Watcher

log = logging.getLogger(__name__)

Explain = Callable[[str, Sequence[Mapping[str, Any]]], str]
"""Why would Envoy refuse these resources of this type? Blocking; called in a thread."""

News = Callable[[str], Awaitable[None]]
"""Called with the environment id when a gateway has acknowledged or rejected something new."""

_NOBODY = RegisteredGateway("", "", token_hash(""))


class XdsApp:
    """`app(scope, receive, send)`. Holds a poll for `hold` seconds at most; an answer that is no
    configuration comes after `penalty` seconds, because Envoy asks again within milliseconds."""

    def __init__(
        self,
        store: SnapshotStore,
        *,
        explain: Explain,
        on_news: News,
        certify: Certify,
        watcher: Watcher | None = None,
        hold: float = 20.0,
        penalty: float = 1.0,
    ) -> None:
        self._store = store
        self._explain = explain
        self._on_news = on_news
        self._desk = CertificateDesk(certify)
        self._hold = hold
        self._penalty = penalty
        self._background: set[asyncio.Task[None]] = set()
        self.watcher = watcher or Watcher(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            self.watcher.start()
            await self._answer(scope["method"], scope["path"], receive, send)

    async def _answer(self, method: str, path: str, receive: Receive, send: Send) -> None:
        if path == polls.HEALTH_PATH and method in ("GET", "HEAD"):
            healthy = await self.watcher.healthy()
            await polls.send_json(send, 200 if healthy else 503, {"ready": healthy})
            return
        type_url = polls.TYPE_OF_PATH.get(path)
        known = type_url is not None or path == polls.CERTIFICATE_PATH
        if not known or method != "POST":
            await polls.send_json(send, 404, {"error": "no such resource type"})
            return
        try:
            if type_url is None:
                await self._certify(await polls.read_certificate_request(receive), send)
            else:
                await self._poll(await polls.read_poll(type_url, receive), receive, send)
        except polls.Gone:
            return
        except polls.BadPoll as problem:
            await self._refuse(send, 400, str(problem))
        except Exception:
            # Nothing was sent: only the storage can fail here, and the gateway must not spin on it.
            log.exception("xds: a poll failed")
            await self._refuse(send, 503, "the snapshot cannot be read now")

    async def _refuse(self, send: Send, status: int, sentence: str) -> None:
        await asyncio.sleep(self._penalty)
        await polls.send_json(send, status, {"error": sentence})

    async def _known(self, node_id: str, token: str, send: Send) -> RegisteredGateway | None:
        """Who asks; None, and refused, if it is nobody of ours."""
        gateway = await self._store.gateway(node_id)
        # Always one comparison, so that time does not tell whether the node id exists.
        matches = token_matches(token, (gateway or _NOBODY).token_hash)
        if gateway is not None and matches:
            return gateway
        log.warning("xds: a gateway with an unknown id or a wrong token was refused")
        await self._refuse(send, 401, "unknown gateway or wrong token")
        return None

    async def _certify(self, request: polls.CertificateRequest, send: Send) -> None:
        gateway = await self._known(request.node_id, request.token, send)
        if gateway is not None:
            await self._desk.answer(gateway, request.csr, send)

    async def _poll(self, poll: Poll, receive: Receive, send: Send) -> None:
        gateway = await self._known(poll.node_id, poll.token, send)
        if gateway is None:
            return
        gone = asyncio.create_task(_disconnected(receive))
        try:
            snapshot = await self._decide(gateway, poll, gone)
        finally:
            gone.cancel()
        if gone.done() and not gone.cancelled():
            return
        if snapshot is None:
            await polls.send_unchanged(send)
        else:
            await polls.send_snapshot(send, poll.type_url, snapshot)

    async def _decide(
        self, gateway: RegisteredGateway, poll: Poll, gone: asyncio.Task[None]
    ) -> Snapshot | None:
        """The snapshot to serve, after a hold if need be; None for no change, or a client gone."""
        named = acknowledgement.parse_version(poll.version_info)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._hold
        judge = acknowledgement.hear
        while True:
            stored = await self._store.current(gateway.environment_id, poll.type_url)
            current = stored or _nothing(poll.type_url)
            judged = await self._judge(gateway, poll, current, partial(judge, named=named))
            if judged.answer is Answer.SERVE:
                return current
            judge = acknowledgement.answer
            left = deadline - clock()
            if not await self._newer(gateway, poll, current, left, gone):
                break
            if await self._store.gateway(poll.node_id) != gateway:
                # Removed, or its token renewed, while the poll was held; the next one is refused.
                return None
        if gone.done():
            return None
        judged = await self._judge(
            gateway, poll, current, partial(acknowledgement.offer_again, named=named)
        )
        return current if judged.answer is Answer.SERVE else None

    async def _newer(
        self,
        gateway: RegisteredGateway,
        poll: Poll,
        current: Snapshot,
        timeout: float,
        gone: asyncio.Task[None],
    ) -> bool:
        seen = current.generation
        waiting = asyncio.create_task(
            self.watcher.newer((gateway.environment_id, poll.type_url), seen, timeout=timeout)
        )
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return waiting.done() and not gone.done() and waiting.result()

    async def _judge(
        self,
        gateway: RegisteredGateway,
        poll: Poll,
        current: Snapshot,
        judge: Callable[..., Judgement],
    ) -> Judgement:
        def decide(state: PollState) -> Judgement:
            return judge(state, current=current.generation)

        judged = await self._store.judge(gateway.gateway_id, poll.type_url, decide)
        if judged.newly_rejected:
            self._spawn(self._tell_why(gateway, poll.type_url, current))
        elif judged.newly_acked:
            self._spawn(self._on_news(gateway.environment_id))
        return judged

    async def _tell_why(
        self, gateway: RegisteredGateway, type_url: str, rejected: Snapshot
    ) -> None:
        """The reason first, then the news: whoever is woken by the rejection wants to read it."""
        try:
            reason = await asyncio.to_thread(self._explain, type_url, rejected.resources)
            await self._store.note_rejection(
                gateway.gateway_id, type_url, rejected.generation, reason
            )
        finally:
            await self._on_news(gateway.environment_id)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception:
                log.exception("xds: telling the news failed; the sweep will find them")

        task = asyncio.create_task(guarded())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.watcher.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.watcher.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _nothing(type_url: str) -> Snapshot:
    """Generation 0, before anything was derived for an environment: a gateway that gets no answer
    would not even listen, and so not tell that it lives."""
    return Snapshot(0, derive(EnvironmentRoutes("", ""))[type_url])


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
