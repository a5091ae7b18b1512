"""Slipway's REST API as Python functions. Synchronous; one client per thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from cli import inference, upload
from cli.errors import ApiProblem, SlipwayError, TimedOut
from cli.shapes import Build, Endpoint, Host, Json, Key, Model, Operation, Rollout, Version
from cli.transport import Transport

BASE = "/api/v1"
ANY = "*"
"""An If-Match that says: whatever it is by now. What a person asks for by name wants that."""


class Client:
    """Raises `cli.errors.SlipwayError`, and nothing else that is not a programming error."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        http: httpx.BaseTransport | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url.rstrip("/")
        self._api = Transport(url, token, http=http, timeout=timeout, sleep=sleep)
        self._gateway = partial(inference.Gateway, http=http, timeout=timeout)
        self._sleep = sleep
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._api.close()

    # --- anything -----------------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Json:
        """One GET below /api/v1, for what has no function of its own here."""
        return self._api.get(f"{BASE}{path}", **params)

    def items(self, path: str, *, most: int | None = None, **params: Any) -> Iterator[Json]:
        """Every item of a list, page after page."""
        seen, cursor = 0, None
        while True:
            page = self.get(path, cursor=cursor, **params)
            for item in page.get("items", []):
                yield item
                seen += 1
                if most is not None and seen >= most:
                    return
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def me(self) -> Json:
        return self.get("/me")

    def health(self) -> Json:
        """`/readyz`, also when it says no."""
        try:
            return self._api.get("/readyz")
        except ApiProblem as problem:
            return problem.body

    # --- registry -----------------------------------------------------------------------------

    def teams(self) -> Iterator[Json]:
        return self.items("/teams")

    def create_team(self, name: str, title: str = "") -> Json:
        return self._api.post(f"{BASE}/teams", {"name": name, "title": title or name})

    def models(self, *, most: int | None = None) -> Iterator[Model]:
        return map(Model.of, self.items("/models", most=most))

    def model(self, name: str) -> Model:
        return Model.of(self.get(f"/models/{_part(name)}"))

    def create_model(
        self, name: str, *, team: str, task: str | None = None, description: str | None = None
    ) -> Model:
        body = {"name": name, "team": team, "task": task, "description": description}
        return Model.of(self._api.post(f"{BASE}/models", body))

    def versions(self, model: str, *, most: int | None = None) -> Iterator[Version]:
        return map(Version.of, self.items(f"/models/{_part(model)}/versions", most=most))

    def version(self, model: str, number: int) -> Version:
        return Version.of(self.get(f"/models/{_part(model)}/versions/{number}"))

    def push(
        self,
        model: str,
        path: Path,
        *,
        metadata: Mapping[str, Any] | None = None,
        description: str = "",
        allow_nonfinite: bool = False,
        progress: upload.Progress = lambda sent: None,
    ) -> Version:
        """Upload a file; it is a version once intake has accepted it, and nothing if it has not.
        `allow_nonfinite` lets NaN and infinity into its replicas and out of them."""
        body = upload.prepare(
            path,
            metadata=metadata or {},
            description=description,
            allow_nonfinite="true" if allow_nonfinite else "",
        )
        address = f"{BASE}/models/{_part(model)}/versions"
        return Version.of(
            self._api.send_once(
                "POST", address, content=body.chunks(progress), headers=body.headers
            )
        )

    # --- endpoints and rollouts ---------------------------------------------------------------

    def endpoints(self, *, environment: str | None = None) -> Iterator[Endpoint]:
        return map(Endpoint.of, self.items("/endpoints", environment=environment))

    def endpoint(self, name: str, environment: str) -> Endpoint:
        """By what people call it. Raises ApiProblem `not_found` as a GET by id would."""
        found = self.items("/endpoints", environment=environment, model=name)
        for item in found:
            if item.get("name") == name:
                return Endpoint.of(self.get(f"/endpoints/{item['id']}"))
        body = {
            "code": "endpoint:not-found",
            "detail": f"There is no endpoint {name} in {environment}.",
            "help": f"slipway deploy {name} --environment {environment}",
        }
        raise ApiProblem(404, body)

    def open_endpoint(self, endpoint_id: str, reason: str = "") -> Endpoint:
        """From now on nobody needs a key to ask it."""
        address = f"{BASE}/endpoints/{_part(endpoint_id)}/open"
        return Endpoint.of(self._api.post(address, {"reason": reason or None}))

    def close_endpoint(self, endpoint_id: str, reason: str = "") -> Endpoint:
        """From now on everybody needs a key again."""
        address = f"{BASE}/endpoints/{_part(endpoint_id)}/close"
        return Endpoint.of(self._api.post(address, {"reason": reason or None}))

    def logs(self, endpoint_id: str, *, replica: str | None = None, lines: int = 200) -> Json:
        return self.get(f"/endpoints/{endpoint_id}/logs", replica=replica, lines=lines)

    def deploy(
        self,
        model: str,
        version: int | str,
        *,
        environment: str,
        replicas: int | None = None,
        strategy: Mapping[str, Any] | None = None,
        comment: str | None = None,
    ) -> Rollout:
        """Start a rollout; it goes on by itself, see `wait`."""
        body = {
            "model": model,
            "version": version,
            "environment": environment,
            "replicas": replicas,
            "strategy": dict(strategy) if strategy else None,
            "comment": comment,
        }
        return self._started(self._api.post(f"{BASE}/rollouts", body))

    def rollback(
        self, endpoint_id: str, *, to: int | str | None = None, reason: str = ""
    ) -> Rollout:
        """To the release before this one, or to any earlier one."""
        body = {"to": to, "reason": reason}
        address = f"{BASE}/endpoints/{_part(endpoint_id)}/rollback"
        return self._started(self._api.post(address, body, if_match=ANY))

    def rollouts(self, *, most: int | None = None, **filters: str | None) -> Iterator[Rollout]:
        return map(Rollout.of, self.items("/rollouts", most=most, **filters))

    def rollout(self, rollout_id: str) -> Rollout:
        return Rollout.of(self.get(f"/rollouts/{_part(rollout_id)}"))

    def act(self, rollout_id: str, verb: str, reason: str = "") -> Operation:
        """`verb`: pause, resume, promote or abort."""
        address = f"{BASE}/rollouts/{_part(rollout_id)}/{verb}"
        return Operation.of(self._api.post(address, {"reason": reason or None}, if_match=ANY))

    def operation(self, operation_id: str, *, wait: int | None = None) -> Operation:
        return Operation.of(self.get(f"/operations/{_part(operation_id)}", wait=wait))

    def follow(self, rollout_id: str, *, every: float = 0.5) -> Iterator[Rollout]:
        """The rollout again and again, the last time when it is done."""
        while True:
            rollout = self.rollout(rollout_id)
            yield rollout
            if rollout.is_done:
                return
            self._sleep(every)

    def wait(
        self,
        rollout_id: str,
        *,
        timeout: float = 600.0,
        until: Callable[[Rollout], bool] = lambda rollout: rollout.is_decided or rollout.is_done,
        every: float = 0.5,
        seen: Callable[[Rollout], None] = lambda rollout: None,
    ) -> Rollout:
        """Until it is decided, or `until` holds. Raises TimedOut with what it waited for."""
        deadline = self._clock() + timeout
        for rollout in self.follow(rollout_id, every=every):
            seen(rollout)
            if until(rollout):
                return rollout
            if self._clock() > deadline:
                raise TimedOut(f"Not decided after {timeout:.0f} s: {rollout.sentence}")
        return rollout

    # --- keys ---------------------------------------------------------------------------------

    def keys(self, *, most: int | None = None, **filters: str | None) -> Iterator[Key]:
        """By `environment`, `endpoint` (an id) and `state`."""
        return map(Key.of, self.items("/keys", most=most, **filters))

    def key(self, key_id: str) -> Key:
        return Key.of(self.get(f"/keys/{_part(key_id)}"))

    def issue_key(
        self,
        name: str,
        *endpoints: str,
        environment: str,
        expires_in_days: int | None = None,
        requests_per_minute: int | None = None,
        requests_per_day: int | None = None,
    ) -> Key:
        """Its `text` is shown by this answer only. Gateways know it a moment later, see
        `wait_for_key`."""
        body = {
            "name": name,
            "environment": environment,
            "endpoints": list(endpoints),
            "expires_in_days": expires_in_days,
            "requests_per_minute": requests_per_minute,
            "requests_per_day": requests_per_day,
        }
        return Key.of(self._api.post(f"{BASE}/keys", body))

    def edit_key(self, key_id: str, **changes: Any) -> Key:
        """Of `name`, `endpoints`, `requests_per_minute`, `requests_per_day`; a limit of None is
        none."""
        return Key.of(self._api.patch(f"{BASE}/keys/{_part(key_id)}", changes, if_match=ANY))

    def rotate_key(
        self,
        key_id: str,
        *,
        overlap_hours: float | None = None,
        expires_in_days: int | None = None,
    ) -> Key:
        """The new key. The old one ends after the overlap."""
        body = {"overlap_hours": overlap_hours, "expires_in_days": expires_in_days}
        address = f"{BASE}/keys/{_part(key_id)}/rotate"
        return Key.of(self._api.post(address, body, if_match=ANY))

    def revoke_key(self, key_id: str) -> Key:
        """No gateway admits it from its next configuration on, see `wait_for_key`."""
        return Key.of(self._api.post(f"{BASE}/keys/{_part(key_id)}/revoke", {}))

    def wait_for_key(self, key_id: str, *, timeout: float = 10.0, every: float = 0.05) -> Key:
        """Until every gateway runs the newest word about keys. Raises TimedOut."""
        deadline = self._clock() + timeout
        while not (key := self.key(key_id)).acknowledged:
            if self._clock() > deadline:
                raise TimedOut(f"Not every gateway knows after {timeout:.0f} s what {key_id} is.")
            self._sleep(every)
        return key

    def predict(
        self, endpoint: Endpoint, body: Json, *, key: str = "", ca_file: Path | None = None
    ) -> Json:
        """One inference at the endpoint's gateway: a request of the Open Inference Protocol, and
        its answer. The gateway gets the key and never the token."""
        return self._gateway(endpoint.url, key, ca_file=ca_file).predict(body)

    # --- hosts --------------------------------------------------------------------------------

    def hosts(self, *, most: int | None = None) -> Iterator[Host]:
        return map(Host.of, self.items("/hosts", most=most))

    def host(self, host_id: str) -> Host:
        return Host.of(self.get(f"/hosts/{_part(host_id)}"))

    def add_host(self, name: str, *, environment: str, kind: str, **how: Any) -> Host:
        """`how`: address, publish_address, tls, capacity. Its Engine is asked before it is kept."""
        body = {"name": name, "environment": environment, "kind": kind, **how}
        return Host.of(self._api.post(f"{BASE}/hosts", body))

    def edit_host(self, host_id: str, **changes: Any) -> Host:
        """Of publish_address, tls, capacity."""
        return Host.of(self._api.patch(f"{BASE}/hosts/{_part(host_id)}", changes, if_match=ANY))

    def replace_replicas(self, host_id: str, reason: str = "") -> int:
        """Give up those of a silent host; how many are replaced elsewhere."""
        address = f"{BASE}/hosts/{_part(host_id)}/replace-replicas"
        return int(self._api.post(address, {"reason": reason})["replaced"])

    def remove_host(self, host_id: str) -> None:
        self._api.delete(f"{BASE}/hosts/{_part(host_id)}", if_match=ANY)

    # --- images -------------------------------------------------------------------------------

    def builds(self, *, most: int | None = None, **filters: str | None) -> Iterator[Build]:
        return map(Build.of, self.items("/builds", most=most, **filters))

    def build(self, build_id: str) -> Build:
        return Build.of(self.get(f"/builds/{_part(build_id)}"))

    def build_log(self, build_id: str) -> Json:
        return self.get(f"/builds/{_part(build_id)}/log")

    def collect_garbage(self, *, environment: str | None = None, dry_run: bool = False) -> Json:
        """Remove images that nothing needs; a dry run only says which."""
        body = {"environment": environment, "dry_run": dry_run}
        return self._api.post(f"{BASE}/gc", body)

    def _started(self, raw: Json) -> Rollout:
        operation = Operation.of(raw)
        if operation.target_id:
            return self.rollout(operation.target_id)
        raise SlipwayError("Slipway began something and did not say which rollout it is.")


def _part(value: str) -> str:
    return quote(value, safe="")
