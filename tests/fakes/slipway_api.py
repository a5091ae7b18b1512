"""A Slipway small enough to reason about, behind httpx's transport: for tests of clients.

It is as strict as the real API where a client could be careless: every POST must carry an
Idempotency-Key, state actions If-Match, everything a token; an upload's digests are compared.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

GATEWAY = "gateway.test"
TOKEN = "slw_" + "a" * 8 + "_" + "b" * 43 + "_" + "c" * 6


class FakeSlipway(httpx.BaseTransport):
    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.teams: list[dict[str, Any]] = []
        self.models: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.uploads: list[dict[str, bytes]] = []
        self.endpoints: list[dict[str, Any]] = []
        self.logs: dict[str, Any] = {"items": []}
        self.keys: dict[str, dict[str, Any]] = {}
        self.looks_until_known = 0
        self.gateway_answers: list[httpx.Response] = []
        self.story: list[dict[str, Any]] = [done("promoted")]
        self.answers: list[httpx.Response | Exception] = []
        self._told: Iterator[dict[str, Any]] = iter(())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if request.url.host == GATEWAY:
            return self._infer(request, body)
        return self._refusal(request) or self._route(request, body)

    @staticmethod
    def _refusal(request: httpx.Request) -> httpx.Response | None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "not_authenticated", "That token is not known.")
        if request.method == "POST" and not request.headers.get("idempotency-key"):
            return problem(400, "idempotency_key_required", "Send an Idempotency-Key.")
        if request.method == "PATCH" and not request.headers.get("if-match"):
            return problem(428, "if_match_required", "Send If-Match.")
        return None

    def _route(self, request: httpx.Request, body: bytes) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        routes = {
            ("GET", r"/me"): lambda: answer({"username": "alice", "roles": [{"role": "ml_lead"}]}),
            ("GET", r"/teams"): lambda: answer({"items": self.teams}),
            ("POST", r"/teams"): lambda: self._create_team(json.loads(body)),
            ("GET", r"/models"): lambda: answer({"items": list(self.models.values())}),
            ("POST", r"/models"): lambda: self._create_model(json.loads(body)),
            ("GET", r"/models/([^/]+)"): self._model,
            ("POST", r"/models/([^/]+)/versions"): lambda name: self._push(name, request, body),
            ("GET", r"/models/([^/]+)/versions"): lambda name: self._page(request, name),
            ("GET", r"/endpoints"): lambda: answer({"items": self.endpoints, "next_cursor": None}),
            ("GET", r"/endpoints/([^/]+)"): lambda _: answer(self.endpoints[0]),
            ("GET", r"/endpoints/([^/]+)/logs"): lambda _: answer(self.logs),
            ("POST", r"/endpoints/([^/]+)/rollback"): lambda _: self._begin(request),
            ("POST", r"/rollouts"): lambda: self._begin(None),
            ("GET", r"/rollouts"): lambda: answer({"items": [self.story[-1]]}),
            ("GET", r"/rollouts/([^/]+)"): lambda _: answer(next(self._told, self.story[-1])),
            ("POST", r"/rollouts/([^/]+)/(?:pause|abort)"): lambda _: self._begin(request),
            ("GET", r"/models/([^/]+)/versions/([0-9]+)"): lambda *_: answer(VERSION),
            ("POST", r"/endpoints/([^/]+)/(open|close)"): lambda _, verb: self._declare(verb),
            ("GET", r"/keys"): lambda: answer({"items": list(self.keys.values())}),
            ("POST", r"/keys"): lambda: self._issue(json.loads(body)),
            ("GET", r"/keys/([^/]+)"): self._key,
            ("PATCH", r"/keys/([^/]+)"): lambda key: self._edit(key, json.loads(body)),
            ("POST", r"/keys/([^/]+)/rotate"): lambda key: self._rotate(key, request),
            ("POST", r"/keys/([^/]+)/revoke"): lambda key: self._edit(key, {"state": "revoked"}),
        }
        for (method, pattern), handle in routes.items():
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return handle(*match.groups())
        return problem(404, "not_found", f"There is no {path}.")

    def _create_team(self, wanted: dict[str, Any]) -> httpx.Response:
        self.teams.append({"id": f"team_{len(self.teams)}", **wanted})
        return answer(self.teams[-1], 201)

    def _create_model(self, wanted: dict[str, Any]) -> httpx.Response:
        self.models[wanted["name"]] = {**wanted, "latest_version": None, "aliases": {}}
        return answer(self.models[wanted["name"]], 201)

    def _model(self, name: str) -> httpx.Response:
        if name not in self.models:
            return problem(404, "not_found", f"There is no model {name}.")
        return answer(self.models[name])

    def _push(self, name: str, request: httpx.Request, body: bytes) -> httpx.Response:
        if name not in self.models:
            return problem(404, "not_found", f"There is no model {name}.")
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if request.headers["content-digest"] != f"sha-256=:{digest}:":
            return problem(400, "digest_mismatch", "The body is not what was sent.")
        fields = parts(request.headers["content-type"], body)
        if hashlib.sha256(fields["artifact"]).hexdigest() != fields["sha256"].decode():
            return problem(422, "digest_mismatch", "The file is not what was sent.")
        self.uploads.append(fields)
        versions = self.versions.setdefault(name, [])
        size = len(fields["artifact"])
        version = {
            "id": "ver_1",
            "model": name,
            "number": len(versions) + 1,
            "artifact": {"digest": f"sha256:{fields['sha256'].decode()}", "size": size},
        }
        versions.append(version)
        self.models[name]["latest_version"] = version["number"]
        return answer(version, 201)

    def _page(self, request: httpx.Request, name: str) -> httpx.Response:
        """One item a page: whoever does not follow the cursor sees too little."""
        versions = self.versions.get(name, [])
        at = int(request.url.params.get("cursor", 0))
        more = str(at + 1) if at + 1 < len(versions) else None
        return answer({"items": versions[at : at + 1], "next_cursor": more})

    def _declare(self, verb: str) -> httpx.Response:
        self.endpoints[0]["is_open"] = verb == "open"
        return answer(self.endpoints[0])

    def _issue(self, wanted: dict[str, Any]) -> httpx.Response:
        limits = {name: wanted.get(name) for name in ("requests_per_minute", "requests_per_day")}
        uses = [{"endpoint": name, "requests_today": 0} for name in wanted["endpoints"]]
        made = {
            "id": f"key_{len(self.keys) + 1}",
            "name": wanted["name"],
            "environment": wanted["environment"],
            "endpoints": wanted["endpoints"],
            "state": "active",
            **limits,
            "usage": uses,
            "acknowledged": False,
            "expires_at": "2027-02-01T00:00:00Z",
        }
        self.keys[made["id"]] = made
        return answer({**made, "key": f"head.{made['id']}.signature"}, 201)

    def _key(self, key: str) -> httpx.Response:
        """Gateways need a few looks until they know of a change."""
        self.looks_until_known -= 1
        return answer({**self.keys[key], "acknowledged": self.looks_until_known < 0})

    def _edit(self, key: str, change: dict[str, Any]) -> httpx.Response:
        self.keys[key] |= change
        return answer(self.keys[key])

    def _rotate(self, key: str, request: httpx.Request) -> httpx.Response:
        if not request.headers.get("if-match"):
            return problem(428, "if_match_required", "Send If-Match.")
        made = self._issue(self.keys[key])
        self.keys[key]["rotated_to"] = made.json()["id"]
        return made

    def _infer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """As a gateway does: it knows keys and nothing of tokens."""
        if self.gateway_answers:
            return self.gateway_answers.pop(0)
        is_open = self.endpoints[0].get("is_open")
        if not is_open and not request.headers.get("authorization", "").startswith("Bearer head."):
            return answer({"error": "Jwt is missing"}, 401)
        return answer({"outputs": json.loads(body)["inputs"]})

    def _begin(self, needs_match: httpx.Request | None) -> httpx.Response:
        if needs_match is not None and not needs_match.headers.get("if-match"):
            return problem(428, "if_match_required", "Send If-Match.")
        self._told = iter(self.story)
        target = {"kind": "rollout", "id": "rol_1"}
        return answer({"id": "op_1", "status": "running", "target": target}, 202)


def rollout(phase: str, sentence: str, *, outcome: str = "", **status: Any) -> dict[str, Any]:
    return {
        "id": "rol_1",
        "number": 7,
        "endpoint": {"id": "end_1", "name": "tumour", "environment": "staging"},
        "target": {"release": "rel_2", "version": 2},
        "stable": {"release": "rel_1", "version": 1},
        "status": {
            "phase": phase,
            "outcome": outcome,
            "badge": outcome or phase,
            "sentence": sentence,
            "steps": [{"kind": "set-weight", "label": "100 %", "state": "current"}],
            **status,
        },
        "timings": {},
        "gateways": [],
    }


def done(outcome: str, sentence: str = "That was it.", **status: Any) -> dict[str, Any]:
    return rollout("done", sentence, outcome=outcome, **status)


VERSION: dict[str, Any] = {"id": "ver_2", "number": 2, "sample": {"inputs": [{"name": "X"}]}}


def endpoint() -> dict[str, Any]:
    return {
        "id": "end_1",
        "name": "tumour",
        "model": "tumour",
        "environment": "staging",
        "url": f"http://{GATEWAY}/v2/models/tumour",
        "is_open": False,
        "state": "ok",
        "sentence": "Version 2 serves.",
        "stable_release": {"id": "rel_2", "version": 2},
        "traffic": [{"release": "rel_2", "version": 2, "percent": 100, "mirror_percent": 0}],
        "replica_list": [{"id": "rep_1", "version": 2, "state": "ready"}],
        "active_rollout": None,
    }


def answer(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def problem(status: int, code: str, detail: str, **more: Any) -> httpx.Response:
    body = {"type": f"/docs/problems/{code}", "status": status, "code": code, "detail": detail}
    return httpx.Response(status, json={**body, **more})


def parts(content_type: str, body: bytes) -> dict[str, bytes]:
    boundary = content_type.partition("boundary=")[2].encode()
    found = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        assert name
        found[name[1].decode()] = value.removesuffix(b"\r\n")
    return found
