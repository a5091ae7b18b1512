"""One inference at a gateway: another address than Slipway's API, and another secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from cli import trust
from cli.errors import ApiProblem, Unreachable
from cli.shapes import Json

_HELP = {
    401: "Give it a key: --key-file, or SLIPWAY_ENDPOINT_KEY; `slipway keys issue` makes one.",
    403: "`slipway keys list` says which keys this endpoint admits.",
}


class Gateway:
    """Sends predictions to one endpoint. Repeats nothing: an inference may be charged for."""

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        ca_file: Path | None = None,
        http: httpx.BaseTransport | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        verify = trust.context()
        if ca_file is not None:
            verify.load_verify_locations(cafile=ca_file)
        self._options: dict[str, Any] = {
            "transport": http,
            "timeout": timeout,
            "verify": verify,
            "trust_env": False,
        }

    def predict(self, body: Json) -> Json:
        """The answer to a request of the Open Inference Protocol.

        Raises:
            ApiProblem: the gateway or the model server refused it.
            Unreachable: nobody answered, or not in JSON.
        """
        if not self.url:
            raise Unreachable("This environment has no gateway.")
        with httpx.Client(headers=self._headers, **self._options) as http:
            try:
                response = http.post(f"{self.url}/infer", json=body)
            except httpx.TransportError as problem:
                raise Unreachable(f"{self.url} does not answer ({problem}).") from None
        answer = _json(response)
        if response.is_success:
            return answer
        raise ApiProblem(response.status_code, _as_problem(response, answer))


def _json(response: httpx.Response) -> Json:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    if response.is_success:
        raise Unreachable(f"{response.url} answered something that is not JSON.")
    return {}


def _as_problem(response: httpx.Response, answer: Json) -> Json:
    """A gateway says `{"error": sentence}`, perhaps with more."""
    said = answer.get("error")
    sentence = str(said) if said else f"The gateway answered {response.status_code}."
    wait = response.headers.get("retry-after", "")
    until = f"{wait} s" if wait.isdecimal() else wait
    return {
        "code": answer.get("code"),
        "detail": f"{sentence} (again after {until})" if until else sentence,
        "help": _HELP.get(response.status_code),
    }
