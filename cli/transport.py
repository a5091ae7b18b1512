"""One request to Slipway: authorised, safe to repeat, its errors as `cli.errors`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

from cli import trust
from cli.errors import ApiProblem, Unreachable
from cli.shapes import Json

_TRIES = 4
_AGAIN = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 10.0


class Transport:
    """Repeats what was not answered, or answered "later".

    A POST is as safe to repeat as a GET, because every try carries the same Idempotency-Key.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        http: httpx.BaseTransport | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._sleep = sleep
        headers = {"accept": "application/json", "user-agent": "slipway-cli"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            transport=http,
            verify=trust.context(),
            trust_env=False,
        )

    def get(self, path: str, **params: Any) -> Json:
        return self.answer("GET", path, params=_given(params))

    def post(self, path: str, body: Mapping[str, Any], *, if_match: str = "") -> Json:
        headers = {"idempotency-key": secrets.token_urlsafe(24)}
        if if_match:
            headers["if-match"] = if_match
        return self.answer("POST", path, json=_given(body), headers=headers)

    def patch(self, path: str, body: Mapping[str, Any], *, if_match: str = "*") -> Json:
        """Sends null where the body says None: a change may take something away."""
        return self.answer("PATCH", path, json=dict(body), headers={"if-match": if_match})

    def put(self, path: str, body: Mapping[str, Any], *, if_match: str = "*") -> Json:
        return self.answer("PUT", path, json=_given(body), headers={"if-match": if_match})

    def delete(self, path: str, *, if_match: str = "*") -> Json:
        return self.answer("DELETE", path, headers={"if-match": if_match})

    def answer(self, method: str, path: str, **options: Any) -> Json:
        response = self.send(method, path, **options)
        if not response.content:
            return {}
        try:
            body = response.json()
        except ValueError as problem:
            raise Unreachable(f"{self.url} answered something that is not JSON.") from problem
        if not isinstance(body, dict):
            raise Unreachable(f"{self.url} answered JSON that is no object.")
        return body

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Raises ApiProblem for every answer that is not a success."""
        for attempt in range(1, _TRIES + 1):
            last = attempt == _TRIES
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as problem:
                if last:
                    raise Unreachable(f"{self.url} does not answer ({_short(problem)}).") from None
                self._sleep(_pause(attempt))
                continue
            if response.status_code in _AGAIN and not last:
                self._sleep(_retry_after(response, attempt))
                continue
            return self._checked(response)
        raise AssertionError("the last try returns or raises")

    def send_once(
        self, method: str, path: str, *, content: Iterable[bytes], headers: Mapping[str, str]
    ) -> Json:
        """For a body that is streamed and cannot be sent again."""
        try:
            response = self._http.request(
                method, path, content=content, headers=dict(headers), timeout=600.0
            )
        except httpx.TransportError as problem:
            raise Unreachable(f"{self.url} does not answer ({_short(problem)}).") from None
        body: Json = self._checked(response).json()
        return body

    def close(self) -> None:
        self._http.close()

    @staticmethod
    def _checked(response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        try:
            body = response.json()
        except ValueError:
            body = {}
        raise ApiProblem(response.status_code, body if isinstance(body, dict) else {})


def _given(values: Mapping[str, Any]) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _pause(attempt: int) -> float:
    return min(_LONGEST_WAIT, 0.2 * 2.0**attempt)


def _retry_after(response: httpx.Response, attempt: int) -> float:
    text = response.headers.get("retry-after", "")
    return min(_LONGEST_WAIT, float(text)) if text.isdecimal() else _pause(attempt)


def _short(problem: httpx.TransportError) -> str:
    return (str(problem) or type(problem).__name__).rstrip(".")
