"""Docker's own client over sockets with time limits, and its errors in this system's words.

An Engine that is not reached, does not answer in time or is dying is silent (HostSilent): nothing
may be concluded about what it runs. One that answers that it will not is HostRefused.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection as PlainConnection
from http.client import HTTPException
from typing import Any

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from deployments.adapters.docker_dial import Dial, dialler
from deployments.domain import engines
from deployments.domain.engines import Credentials
from deployments.ports import HostRefused, HostSilent, ImageMissing

# How long an Engine may say nothing while it builds, saves or loads an image.
STALL_SECONDS = 120.0
_CONNECTIONS = 16
_KEPT_ENGINES = 64
_ANY_URL = "http+docker://engine"
# A server error in these words is about the Engine itself; any other one is its answer.
_DYING = (
    "containerd.sock",
    "context canceled",
    "context deadline exceeded",
    "transport is closing",
    "client connection is closing",
    "connection is shutting down",
    "daemon is shutting down",
    "error reading from server",
    "code = unavailable",
)


class Engine:
    """One Engine as this process talks to it. Safe in threads; opening it costs nothing.

    `quick` bounds every read and write by `seconds`; `patient` is for what may take long.
    """

    def __init__(self, dial: Dial, seconds: float) -> None:
        self.seconds = seconds
        self._dial = dial
        self._lock = threading.Lock()
        self._clients: dict[float, docker.APIClient] = {}

    @property
    def quick(self) -> docker.APIClient:
        return self.client(self.seconds)

    @property
    def patient(self) -> docker.APIClient:
        return self.client(max(STALL_SECONDS, self.seconds))

    def client(self, stall: float) -> docker.APIClient:
        """Its every read and write takes `stall` seconds at most.

        Raises:
            HostSilent: the first time, when versions are compared.
        """
        with self._lock:
            if (client := self._clients.get(stall)) is not None:
                return client
        made = _client(self._dial, self.seconds, stall)
        with self._lock:
            return self._clients.setdefault(stall, made)

    @contextmanager
    def standard_input(self, container: str) -> Iterator[socket.socket]:
        """A connection whose bytes become the container's standard input."""
        version = self.quick.api_version
        with self.talk(), self._dial(self.seconds) as made:
            connection = PlainConnection("engine")
            connection.sock = made
            connection.request(
                "POST",
                f"/v{version}/containers/{container}/attach?stream=1&stdin=1",
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            )
            answer = connection.getresponse()
            try:
                if answer.status not in (101, 200):
                    raise HostRefused(f"The Engine does not attach: {answer.read(500)!r}")
                yield made
            finally:
                answer.close()

    @contextmanager
    def talk(self) -> Iterator[None]:
        """Whatever goes wrong inside, as HostSilent, ImageMissing or HostRefused."""
        try:
            with errors():
                yield
        except HostRefused as problem:
            if "client version" in problem.detail:
                self.forget()  # another version of the Engine has taken its place
            raise

    def forget(self) -> None:
        """Let go of all connections; the next call compares versions again."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()


@contextmanager
def errors() -> Iterator[None]:
    """Whatever goes wrong inside, as HostSilent, ImageMissing or HostRefused."""
    try:
        yield
    except ImageNotFound as problem:
        raise ImageMissing(_told(problem)) from problem
    except APIError as problem:
        raise _answered(problem) from problem
    except requests.RequestException as problem:
        raise HostSilent(_unreached(problem)) from problem
    except (OSError, HTTPException, urllib3.exceptions.HTTPError) as problem:
        raise HostSilent(_unreached(problem)) from problem
    except DockerException as problem:
        raise HostRefused(str(problem)) from problem


def is_absent(problem: HostRefused) -> bool:
    """Whether it was refused because there is no such container (any more)."""
    return _status(problem) == 404


def is_conflict(problem: HostRefused) -> bool:
    """Whether it was refused because of the state that something is in."""
    return _status(problem) == 409


def _status(problem: HostRefused) -> int:
    cause = problem.__cause__
    return int(cause.status_code or 0) if isinstance(cause, APIError) else 0


def _answered(problem: APIError) -> HostSilent | HostRefused:
    told = _told(problem)
    status = int(problem.status_code or 0)
    if status in (502, 503, 504) or (
        status >= 500 and any(words in told.lower() for words in _DYING)
    ):
        return HostSilent(f"The Engine is not well: {told}")
    return HostRefused(told)


def _told(problem: APIError) -> str:
    return str(problem.explanation or problem)[:2000]


def _unreached(problem: Exception) -> str:
    """The innermost sentence: the libraries above it wrap each other's."""
    inner: BaseException = problem
    while (cause := _cause(inner)) is not None:
        inner = cause
    if isinstance(inner, TimeoutError):
        return "The Engine did not answer in time."
    words = (inner.strerror if isinstance(inner, OSError) else None) or str(inner)
    return f"The Engine is not reached: {(words or type(inner).__name__)[:500]}"


def _cause(problem: BaseException) -> BaseException | None:
    return problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)


class _Connection(HTTPConnection):
    """Whatever the address says: it is dialled."""

    def __init__(self, dial: Dial, within: float, stall: float) -> None:
        super().__init__("engine", timeout=stall)
        self._dial, self._within, self._stall = dial, within, stall

    def connect(self) -> None:
        self.sock = self._dial(self._within)
        self.sock.settimeout(self._stall)


class _Pool(HTTPConnectionPool):
    def __init__(self, dial: Dial, within: float, stall: float) -> None:
        super().__init__("engine", timeout=stall, maxsize=_CONNECTIONS)
        self._dialled = dial, within, stall

    def _new_conn(self) -> _Connection:
        return _Connection(*self._dialled)


class _Adapter(HTTPAdapter):
    """One pool for all requests; no proxy, no retry, nothing of the environment."""

    def __init__(self, pool: _Pool) -> None:
        super().__init__()
        self._pool = pool

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> _Pool:
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: object) -> str:
        del proxies
        return request.path_url

    def close(self) -> None:
        super().close()
        self._pool.close()


def _client(dial: Dial, within: float, stall: float) -> docker.APIClient:
    try:
        with errors():
            # Given a version, the SDK asks for none before the adapter is there.
            client = docker.APIClient(base_url="unix:///engine", version="1.41")
            client.timeout = stall  # type: ignore[assignment]  # seconds may have fractions
            client.trust_env = False
            client.base_url = _ANY_URL
            client.mount("http+docker://", _Adapter(_Pool(dial, within, stall)))
            client._version = str(  # type: ignore[attr-defined]
                client.version(api_version=False)["ApiVersion"]
            )
    except (HostRefused, KeyError, TypeError) as problem:
        told = problem.detail if isinstance(problem, HostRefused) else "it tells no version"
        raise HostSilent(f"What answers is no Docker Engine, or not for us: {told}") from problem
    return client


@dataclass(frozen=True, slots=True)
class _Key:
    address: str
    credentials: str
    seconds: float
    ssh_config: str


_engines: OrderedDict[_Key, Engine] = OrderedDict()
_guard = threading.Lock()


def engine(
    address: str, credentials: Credentials | None, *, seconds: float, ssh_config: str = ""
) -> Engine:
    """The Engine at this address, one per process, so that connections are used again.

    Raises:
        HostSilent: the address or the credentials cannot be used.
    """
    key = _Key(address, _fingerprint(credentials), seconds, ssh_config)
    with _guard:
        if (known := _engines.get(key)) is not None:
            _engines.move_to_end(key)
            return known
        try:
            dial = dialler(engines.parse(address), credentials, ssh_config=ssh_config)
        except ValueError as problem:
            raise HostSilent(f"The Engine cannot be reached: {problem}") from problem
        _engines[key] = made = Engine(dial, seconds)
        dropped = _engines.popitem(last=False)[1] if len(_engines) > _KEPT_ENGINES else None
    if dropped is not None:
        dropped.forget()
    return made


def _fingerprint(credentials: Credentials | None) -> str:
    if credentials is None:
        return ""
    text = "\n".join((credentials.authority, credentials.certificate, credentials.key))
    return hashlib.sha256(text.encode()).hexdigest()


def _after_fork() -> None:
    """A child begins without its parent's connections: two readers on one would mix answers."""
    global _guard
    _guard = threading.Lock()
    _engines.clear()


os.register_at_fork(after_in_child=_after_fork)


def text_of(labels: Mapping[str, str] | None, name: str) -> str:
    """A label, or nothing: a stranger's container may have any labels or none."""
    return str((labels or {}).get(name, ""))
