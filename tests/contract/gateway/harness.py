"""A whole gateway for the tests: the real launcher and Envoy, web as the xDS app, fake replicas."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from core.pki import Authority, expires_at
from deployments.adapters.gateway_validate import explain_rejection
from deployments.domain.routing import Address, EnvironmentRoutes, derive
from deployments.xds.app import XdsApp
from deployments.xds.watcher import Watcher
from tests.contract.gateway.keys import jwks
from tests.fakes.snapshot_store import FakeSnapshotStore
from wire import identity

ENVIRONMENT = "staging"
GATEWAY = "gtw_01J00000000000000000000001"
TOKEN = "a-token-of-the-tests"


async def until(
    condition: Callable[[], Any], what: str, *, within: float = 10.0, every: float = 0.002
) -> float:
    """Seconds until `condition()` was true."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > within:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(every)
    return time.perf_counter() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Tls:
    """Of a server: files with its certificate and key, and whose clients it answers."""

    certificate: Path
    key: Path
    clients_of: Path | None = None

    @classmethod
    def issue(cls, authority: Authority, name: str, folder: Path, *hosts: str) -> Tls:
        """Of this identity, answering only bearers of certificates of the same authority."""
        folder.mkdir(parents=True, exist_ok=True)
        issued = authority.issue(name, hours=1, names=hosts)
        tls = cls(folder / "certificate.pem", folder / "key.pem", folder / "ca.pem")
        for path, text in (
            (tls.certificate, issued.certificate),
            (tls.key, issued.key),
            (folder / "ca.pem", authority.pem),
        ):
            path.write_text(text)
        return tls

    def options(self) -> dict[str, Any]:
        asked = {"ssl_ca_certs": self.clients_of, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return {
            "ssl_certfile": self.certificate,
            "ssl_keyfile": self.key,
            **(asked if self.clients_of else {}),
        }


class Served:
    """An ASGI app under uvicorn in this event loop; can be stopped as if it were killed."""

    def __init__(self, app: Any, port: int = 0, tls: Tls | None = None) -> None:
        self.app = app
        self.port = port
        self.tls = tls

    async def start(self) -> None:
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=self.port,
            log_level="critical",
            lifespan="off",
            interface="asgi3",
            **(self.tls.options() if self.tls else {}),
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve())
        await until(lambda: self._server.started, "uvicorn listens")
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def cut(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    async def kill(self) -> None:
        """Every connection is cut, as at the end of the process."""
        self.cut()
        self._server.should_exit = True
        self._server.force_exit = True
        await self._task
        # Those who came again before it had stopped listening.
        self.cut()


class Replica:
    """Answers as a model server does, and remembers what reached it."""

    def __init__(self, name: str, tls: Tls | None = None) -> None:
        self.name = name
        self.ready = True
        self.cuts = False
        self.holds: asyncio.Event | None = None
        self.probes = 0
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.bodies: list[int] = []
        self.grpc_port: int | None = None
        self.served = Served(self, tls=tls)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.served.port, self.grpc_port)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["path"] == "/v2/health/ready":
            self.probes += 1
            status, body = (200 if self.ready else 503), b""
        else:
            self.paths.append(scope["path"])
            self.bodies.append(size)
            self.requests.append({k.decode(): v.decode() for k, v in scope["headers"]})
            if self.cuts:
                self.served.cut()
                return
            if self.holds is not None:
                await self.holds.wait()
            status, body = 200, json.dumps({"outputs": [{"name": self.name}]}).encode()
        headers = [(b"content-type", b"application/json"), (b"x-release", b"forged")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Web:
    """The control plane as far as a gateway knows it."""

    def __init__(self, authority: Authority, *, hold: float = 20.0, tls: Tls | None = None) -> None:
        self.authority = authority
        self.certificate_hours = 1.0
        self.jwks: dict[str, Any] = jwks()
        self.certified: list[str] = []
        self.store = FakeSnapshotStore()
        self.store.register(GATEWAY, ENVIRONMENT, TOKEN)
        self.hold = hold
        self.news: list[str] = []
        self.lost = 0
        self.refused = 0
        self._to_lose = 0
        self.app: XdsApp
        self.served = Served(self._serve, tls=tls)

    async def start(self) -> None:
        async def told(environment_id: str) -> None:
            self.news.append(environment_id)

        self.app = XdsApp(
            self.store,
            explain=explain_rejection,
            on_news=told,
            certify=self._certify,
            watcher=Watcher(self.store),
            hold=self.hold,
            penalty=0.2,
        )
        await self.served.start()

    async def _certify(self, gateway_id: str, csr: str) -> dict[str, Any]:
        environment = self.store.gateways[gateway_id].environment_id
        name = identity.gateway(environment, gateway_id)
        certificate = self.authority.sign(
            csr, name, hours=self.certificate_hours, names=["127.0.0.1", "localhost"]
        )
        self.certified.append(certificate)
        return {
            "certificate": certificate,
            "authority": self.authority.pem,
            "jwks": self.jwks,
            "environment": environment,
            "expires_at": expires_at(certificate),
        }

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.refused += message["status"] == 401
                if message["status"] == 200 and scope["path"].endswith("routes") and self._to_lose:
                    self._to_lose -= 1
                    self.lost += 1
                    self.served.cut()
            await send(message)

        await self.app(scope, receive, watched)

    def lose_answers(self, count: int) -> None:
        """The next answers with routes never arrive: the connection is cut instead."""
        self._to_lose = count

    async def acknowledged_start(
        self, gateways: Callable[..., Awaitable[Gateway]], routes: EnvironmentRoutes
    ) -> Gateway:
        generations = self.publish(routes)
        gateway = await gateways(self)
        await self.acknowledged(generations)
        return gateway

    async def kill(self) -> None:
        await self.served.kill()
        await self.app.watcher.stop()

    @property
    def url(self) -> str:
        return f"http{'s' if self.served.tls else ''}://127.0.0.1:{self.served.port}"

    def publish(self, routes: EnvironmentRoutes, environment: str = ENVIRONMENT) -> dict[str, int]:
        """As the control plane does: only a type that differs gets a new generation."""
        found = {}
        for type_url, resources in derive(routes).items():
            current = self.store.snapshots.get((environment, type_url))
            if current is None or current.resources != resources:
                found[type_url] = self.store.put(environment, type_url, resources)
        self.app.watcher.hurry()
        return found

    async def acknowledged(
        self, generations: dict[str, int], gateway: str = GATEWAY, within: float = 10.0
    ) -> float:
        return await until(
            lambda: all(
                self.store.state(gateway, type_url).acked == generation
                for type_url, generation in generations.items()
            ),
            f"{gateway} acknowledges {generations}",
            within=within,
            every=0.001,
        )


class Gateway:
    """The launcher as a process of its own, and a client of the gateway."""

    def __init__(
        self,
        state: Path,
        web: str,
        *,
        token: str = TOKEN,
        node_id: str = GATEWAY,
        options: Sequence[str] = (),
        trust: Path | None = None,
    ) -> None:
        """`options` are more of the launcher's; `trust` is whom a client of it believes, over
        TLS."""
        self.state = state
        self.web = web
        self.port = free_port()
        self.token = token
        self.node_id = node_id
        self.options = options
        self.trust = trust
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, serving: bool = True) -> None:
        self.state.mkdir(exist_ok=True, mode=0o700)
        token_file = self.state / "token"
        token_file.write_text(self.token)
        (self.state / "run.json").unlink(missing_ok=True)
        (self.state / "launcher.log").unlink(missing_ok=True)
        with (self.state / "launcher.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "controlplane.gateway_launcher"),
                *("--web", self.web, "--listen", f"127.0.0.1:{self.port}"),
                *("--state", str(self.state), "--token-file", str(token_file)),
                *("--node-id", self.node_id, *self.options),
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[3],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        launcher = self.process
        await until(
            lambda: self.events("gateway-started") or launcher.returncode is not None,
            "the launcher runs",
        )
        assert launcher.returncode is None, self.log()
        if serving:
            await until(self._serving, f"the gateway serves:\n{self.log()}", within=15)

    def log(self) -> str:
        return (self.state / "launcher.log").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    @property
    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "run.json").read_text())
        return found

    def _serving(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    async def saved(self, generations: dict[str, int]) -> None:
        def versions() -> dict[str, int]:
            try:
                content = json.loads((self.state / "snapshot.json").read_text())
            except FileNotFoundError:
                return {}
            return {kind: int(each["version"]) for kind, each in content["types"].items()}

        await until(lambda: generations.items() <= versions().items(), "the snapshot is saved")

    @property
    def url(self) -> str:
        return f"http{'s' if self.trust else ''}://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def client(self, **how: Any) -> AsyncIterator[httpx.AsyncClient]:
        verify = ssl.create_default_context(cafile=self.trust)
        async with httpx.AsyncClient(
            base_url=self.url, timeout=10, trust_env=False, verify=verify, **how
        ) as client:
            yield client

    async def admin(self, path: str) -> httpx.Response:
        transport = httpx.AsyncHTTPTransport(uds=self.run["admin_socket"])
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.get(f"http://envoy{path}")

    async def kill(self) -> None:
        """kill -9 of the launcher; Envoy goes with it."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await until(lambda: not self._serving(), "the port is free")

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), 15)
