"""/models, /versions and /aliases over REST."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deployments.models import Artifact, Model, Version
from tests.app.deployments.conftest import DIGEST, ONNX, multipart
from tests.factories.api import Api, refused_with
from tests.fakes.sandbox import FakeSandbox

pytestmark = pytest.mark.django_db

VERSIONS = "/models/tumour/versions"


@pytest.fixture(autouse=True)
def _no_upload_is_left(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> Any:
    folder = tmp_path_factory.mktemp("uploads")
    settings.FILE_UPLOAD_TEMP_DIR = str(folder)
    tempfile.tempdir, before = str(folder), tempfile.tempdir
    yield
    tempfile.tempdir = before
    assert list(folder.iterdir()) == []


def upload(api: Api, content: bytes = ONNX, **how: Any) -> Any:
    headers = how.pop("headers", {})
    body, sent = multipart(content, **how)
    return api.post(VERSIONS, body, **sent, **headers)


def test_a_model_is_made_read_and_changed(alice_api: Api, risk: object) -> None:
    made = alice_api.post("/models", {"name": "tumour", "team": "risk"})
    assert made.status_code == 201
    assert made["Location"] == "/api/v1/models/tumour"
    assert made["ETag"] == '"v1"'
    assert alice_api.get("/models/tumour").json() == made.json()
    changed = alice_api.patch("/models/tumour", {"risk_tier": "high"}, if_match='"v1"')
    assert (changed.status_code, changed["ETag"]) == (200, '"v2"')
    assert changed.json()["risk_tier"] == "high"


def test_a_model_of_an_unknown_team_is_refused_with_the_way_to_make_one(alice_api: Api) -> None:
    answer = alice_api.post("/models", {"name": "tumour", "team": "nobodys"})
    assert refused_with(answer, 422, "unknown_team")
    assert "slipway teams create NAME" in answer.json()["help"]


def test_a_change_needs_what_was_seen(alice_api: Api, tumour: Model) -> None:
    body = {"description": "new"}
    missing = alice_api.patch("/models/tumour", body)
    assert refused_with(missing, 428, "precondition-required")
    assert refused_with(alice_api.patch("/models/tumour", body, if_match='"v9"'), 412, "stale")
    assert alice_api.patch("/models/tumour", body, if_match="*").status_code == 200


def test_an_unknown_field_is_an_error(alice_api: Api, risk: object) -> None:
    answer = alice_api.post("/models", {"name": "tumour", "team": "risk", "stage": "prod"})
    assert refused_with(answer, 422, "unknown_field")
    assert answer.json()["errors"][0]["pointer"] == "/stage"


def test_what_is_invisible_does_not_exist(
    mallory_api: Api, charlie_api: Api, tumour: Model
) -> None:
    assert refused_with(mallory_api.get("/models/tumour"), 403, "auth:not-allowed")
    assert charlie_api.get("/models/tumour").status_code == 200
    assert refused_with(charlie_api.get("/models/absent"), 404, "model:not-found")


def test_an_upload_becomes_a_version(alice_api: Api, tumour: Model, sandbox: FakeSandbox) -> None:
    answer = upload(
        alice_api, sha256=DIGEST.removeprefix("sha256:"), metadata='{"auc": 0.99}', description="d"
    )
    assert answer.status_code == 201, answer.content
    version = answer.json()
    assert (version["number"], version["artifact"]) == (1, {"digest": DIGEST, "size": len(ONNX)})
    assert (version["metadata"], version["allow_nonfinite"]) == ({"auc": 0.99}, False)
    assert version["signature"]["inputs"][0]["datatype"] == "FP32"
    assert alice_api.get(f"{VERSIONS}/1").json() == version
    assert alice_api.get(VERSIONS).json() == {"items": [version], "next_cursor": None}


def test_nan_and_infinity_are_allowed_to_a_version_when_it_is_registered(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox
) -> None:
    made = upload(alice_api, allow_nonfinite="true")
    assert (made.status_code, made.json()["allow_nonfinite"]) == (201, True)
    assert "--allow-nonfinite" in sandbox.programs[-1]
    assert upload(alice_api, allow_nonfinite="false").json()["allow_nonfinite"] is False
    assert "--allow-nonfinite" not in sandbox.programs[-1]
    assert upload(alice_api, allow_nonfinite="perhaps").status_code == 422


def test_the_digest_of_the_body_is_checked(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox
) -> None:
    body, sent = multipart(ONNX)
    right = base64.b64encode(hashlib.sha256(body).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"x").digest()).decode()

    def send(digest: str) -> Any:
        return alice_api.post(VERSIONS, body, **sent, content_digest=digest)

    assert refused_with(send(f"sha-256=:{wrong}:"), 422, "content_digest_mismatch")
    assert refused_with(send("sha-256=nonsense"), 400, "invalid_content_digest")
    assert send(f"unixsum=:{wrong}:, sha-256=:{right}:").status_code == 201


def test_a_refused_upload_leaves_nothing(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox
) -> None:
    sandbox.refuses("model:foreign-operator", "It uses operators of `x`.")
    answer = upload(alice_api)
    assert refused_with(answer, 422, "model:foreign-operator")
    assert answer.json()["detail"] == "It uses operators of `x`."
    assert not Version.objects.exists()
    assert not Artifact.objects.exists()


def test_a_file_over_the_limit_is_refused_while_it_comes(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox, settings: Any
) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update={"max_artifact_bytes": 1000})
    assert refused_with(upload(alice_api, b"x" * 1001), 413, "artifact:too-large")
    assert refused_with(upload(alice_api, b"x" * 3_000_000), 413, "artifact:too-large")
    assert sandbox.seen == []


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{}", "application/json", 415, "unsupported-media-type"),
        (b"", "multipart/form-data; boundary=edge", 422, "required"),
        (b"nonsense", "multipart/form-data", 400, "invalid_multipart"),
        (b"--edge\r\nnonsense", "multipart/form-data; boundary=edge", 422, "required"),
    ],
)
def test_garbage_is_refused_as_garbage(
    alice_api: Api, tumour: Model, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = alice_api.post(VERSIONS, body, content_type=content_type)
    assert refused_with(answer, status, code)


@pytest.mark.parametrize("metadata", ["nonsense", "[]", '"text"', "[" * 5000])
def test_metadata_is_a_json_object(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox, metadata: str
) -> None:
    assert refused_with(upload(alice_api, metadata=metadata), 422, "invalid_metadata")


def test_an_upload_by_somebody_who_may_not_is_refused_before_it_is_read(
    charlie_api: Api, tumour: Model, sandbox: FakeSandbox
) -> None:
    assert refused_with(upload(charlie_api), 403, "auth:not-allowed")
    assert sandbox.seen == []


def test_the_same_upload_sent_twice_is_one_version(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox
) -> None:
    first = upload(alice_api, headers={"idempotency_key": "once"})
    again = upload(alice_api, headers={"idempotency_key": "once"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotency-Replayed"] == "true"
    assert first.json() == again.json()
    assert Version.objects.count() == 1


def test_an_alias_is_made_moved_and_removed(
    alice_api: Api, tumour: Model, sandbox: FakeSandbox
) -> None:
    upload(alice_api)
    upload(alice_api)
    address = "/models/tumour/aliases/champion"
    made = alice_api.send("PUT", address, {"version": 1})
    assert (made.status_code, made.json()["version"]) == (201, 1)
    assert refused_with(
        alice_api.send("PUT", address, {"version": 2}), 428, "precondition-required"
    )
    moved = alice_api.send("PUT", address, {"version": 2}, if_match=made["ETag"])
    assert (moved.status_code, moved.json()["version"]) == (200, 2)
    assert alice_api.get("/models/tumour").json()["aliases"] == {"champion": 2}
    assert alice_api.get(address).json() == moved.json()
    assert alice_api.delete(address, if_match=moved["ETag"]).status_code == 204
    assert refused_with(alice_api.get(address), 404, "alias:not-found")
    moves = alice_api.get(f"{address}/moves").json()["items"]
    assert [(move["from_version"], move["to_version"]) for move in moves] == [
        (2, None),
        (1, 2),
        (None, 1),
    ]


def test_a_list_comes_in_pages(alice_api: Api, risk: Any) -> None:
    names = [f"model-{number}" for number in range(5)]
    for name in names:
        Model.objects.create(name=name, team=risk)
    seen: list[str] = []
    address: str | None = "/models?limit=2"
    while address:
        page = alice_api.get(address).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        address = f"/models?limit=2&cursor={cursor}" if cursor else None
    assert sorted(seen) == names


def test_a_list_costs_as_many_queries_for_many_as_for_one(alice_api: Api, risk: Any) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert alice_api.get("/models").status_code == 200
        return len(queries)

    Model.objects.create(name="first", team=risk)
    cost()
    one = cost()
    for number in range(6):
        Model.objects.create(name=f"model-{number}", team=risk)
    assert cost() == one
    assert one <= 8


def test_a_file_field_must_be_a_file(alice_api: Api, tumour: Model, sandbox: FakeSandbox) -> None:
    head = b'--edge\r\nContent-Disposition: form-data; name="artifact"\r\n\r\n'
    body = head + b"/etc/passwd\r\n--edge--\r\n"
    answer = alice_api.post(VERSIONS, body, content_type="multipart/form-data; boundary=edge")
    assert answer.status_code == 422
    assert sandbox.seen == []


def test_a_name_that_cannot_be_one_is_refused_with_what_a_name_may_be(alice_api: Api) -> None:
    answer = alice_api.post("/models", {"name": "My Model", "team": "risk"})
    assert refused_with(answer, 422, "invalid")
    assert "lower-case letters, digits and hyphens" in answer.json()["detail"]
