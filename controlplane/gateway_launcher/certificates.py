"""Keeps the gateway's certificates: asks web for its own before it ends, and takes in the one for
clients when its files change."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from controlplane.gateway_launcher import identity, watched
from controlplane.gateway_launcher.identity import BadIdentity, Identity
from controlplane.gateway_launcher.settings import LauncherSettings, ListenerTls

Tell = Callable[..., None]

CERTIFICATE_PATH = "/v3/gateways/certificate"
_FIRST_RETRY = 0.5
_LONGEST_RETRY = 60.0
_LOOK_EVERY = 30.0


class Unusable(Exception):
    """The certificate for clients cannot be used: one line that says why."""


class Certificates:
    def __init__(self, settings: LauncherSettings, token: str, tell: Tell) -> None:
        self._settings = settings
        self._token = token
        self._tell = tell
        self._path = settings.state / "identity.json"
        self._identity = identity.load(self._path)
        self._hurry = asyncio.Event()
        self._seen: tuple[object, ...] | None = None

    async def ready(self) -> None:
        """Until Envoy can be started. A certificate that was kept needs no web, even one that has
        ended: then replicas refuse it until web is back, and clients are told so at once.

        Raises:
            Unusable: what clients should be shown.
        """
        self.look()
        if self._identity is None:
            self._tell("certificate-awaited", web=self._settings.web)
        wait = _FIRST_RETRY
        while self._identity is None:
            if not await self.renew():
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, 5.0)
        self._place(self._identity)

    async def keep(self) -> None:
        """For ever: renew in time, and at once when somebody says `hurry`."""
        retry = 0.0
        while True:
            due = self._identity.due_at - time.time() if self._identity else 0.0
            wait = retry or min(max(due, 0.0), _LOOK_EVERY)
            hurried = await self._hurried(wait)
            wanted = hurried or retry or self._identity is None
            if not wanted and self._identity and time.time() < self._identity.due_at:
                continue
            renewed = await self.renew()
            retry = 0.0 if renewed else min(max(retry * 2, _FIRST_RETRY), _LONGEST_RETRY)

    def hurry(self) -> None:
        self._hurry.set()

    async def _hurried(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return False
        self._hurry.clear()
        return True

    async def renew(self) -> bool:
        """One attempt. What is in use stays in use when it fails."""
        try:
            fresh = await self._ask()
            await asyncio.to_thread(identity.store, self._path, fresh)
            self._place(fresh)
        except (httpx.HTTPError, BadIdentity, OSError, ValueError) as problem:
            self._tell("certificate-not-renewed", problem=_in_short(problem), ends=self._ends)
            return False
        self._identity = fresh
        self._tell("certificate-renewed", ends=self._ends)
        return True

    async def _ask(self) -> Identity:
        request = await asyncio.to_thread(identity.new_request)
        node = {"id": self._settings.node_id, "metadata": {"token": self._token}}
        async with httpx.AsyncClient(
            base_url=self._settings.web, verify=self._trust(), timeout=10.0, trust_env=False
        ) as client:
            answer = await client.post(CERTIFICATE_PATH, json={"node": node, "csr": request.csr})
        if answer.status_code != 200:
            raise BadIdentity(f"web answered {answer.status_code}: {answer.text[:200]}")
        return identity.from_answer(request.key, answer.json(), time.time())

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.web_ca)

    def _place(self, fresh: Identity) -> None:
        watched.write_identity(self._settings.state, fresh)
        if self._settings.tls is ListenerTls.GENERATED:
            watched.write_listener(self._settings.state, fresh.certificate, fresh.key)

    @property
    def _ends(self) -> int:
        return int(self._identity.expires_at) if self._identity else 0

    def look(self) -> None:
        """Take in the certificate for clients if its files have changed. They change one after the
        other: what does not belong together yet is looked at again.

        Raises:
            Unusable.
        """
        certificate, key = self._settings.certificate, self._settings.key
        if certificate is None or key is None:
            return
        try:
            state = (_state(certificate), _state(key))
            if state == self._seen:
                return
            texts = certificate.read_text(), key.read_text()
        except (OSError, ValueError) as problem:
            raise Unusable(f"cannot read the certificate for clients: {problem}") from problem
        if not identity.belong_together(*texts):
            raise Unusable(f"{certificate} and {key} do not hold a certificate and its key")
        watched.write_listener(self._settings.state, *texts)
        self._tell("listener-certificate-read", path=str(certificate))
        self._seen = state


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _in_short(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"[:300]
