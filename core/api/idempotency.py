"""Idempotency-Key: a POST that is sent twice happens once.

1. A claim is committed: a second request with the same key meanwhile gets 409 and Retry-After.
2. The handler runs; its effect and the answer are committed together (`idempotency_atomic`).
3. The answer is replayed, with `Idempotency-Replayed: true`, for as long as the record is kept.

Only an answer that succeeded is kept: whatever failed had no effect and may be sent again. A
claim whose worker died is taken over after `CLAIM_SECONDS`. Answers are stored encrypted, because
some show a secret that is shown once.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from core import clock
from core.errors import Conflict, Invalid, Malformed
from core.models import IdempotencyRecord

if TYPE_CHECKING:
    from django.http import QueryDict

    from core.api.views import ApiView

KEY_NAME = "idempotency"
CLAIM_SECONDS = 300
_RETRY_SECONDS = 1
_KEPT_HEADERS = ("Location", "Operation-Location", "ETag", "Retry-After")
_FORM = re.compile(r"[\x21-\x7e]{1,255}")
_NONCE_BYTES = 12
_CHUNK = 1024 * 1024


def run_once(
    view: ApiView, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
) -> Response:
    """Call `handler`, or replay what it answered to the same request before."""
    key = _key(request, required=view.idempotency == "required")
    if key is None:
        return handler(request, *args, **kwargs)
    name = _name(request, key)
    fingerprint = view.idempotency_fingerprint(request)
    stored = _claim(name, fingerprint)
    if stored is not None:
        return _replay(stored)
    try:
        with transaction.atomic() if view.idempotency_atomic else nullcontext():
            response = handler(request, *args, **kwargs)
            if response.status_code < 300:
                _keep(name, response)
                return response
    except BaseException:
        _release(name)
        raise
    _release(name)
    return response


def fingerprint(request: Request) -> str:
    """A digest of what was sent. Boundaries of a multipart body differ each time, so its fields
    count instead, and a file by its `sha256` field when there is one, else by its content."""
    if not request.content_type.startswith("multipart/"):
        return hashlib.sha256(request._request.body).hexdigest()
    digest = hashlib.sha256()
    fields = cast("QueryDict", request.data)
    declared = fields.get("sha256")
    for name in sorted(fields):
        for value in fields.getlist(name):
            digest.update(repr((name, _content(value, declared))).encode())
    return digest.hexdigest()


def _content(value: Any, declared: object) -> str:
    if not isinstance(value, UploadedFile):
        return str(value)
    if declared:
        return f"{value.size} {declared}"
    content = hashlib.sha256()
    for chunk in value.chunks(_CHUNK):
        content.update(chunk)
    value.seek(0)
    return content.hexdigest()


def _key(request: Request, *, required: bool) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None and not required:
        return None
    if not key:
        raise Malformed(
            "Send an Idempotency-Key, so that a repeated request is not done twice.",
            code="idempotency_key_required",
        )
    if not _FORM.fullmatch(key):
        raise Malformed(
            "An Idempotency-Key has 1 to 255 printable ASCII characters.",
            code="invalid_idempotency_key",
        )
    return key


def _name(request: Request, key: str) -> str:
    from core.api.views import principal_of  # noqa: PLC0415 - views are built on this module

    parts = [principal_of(request), request.method, request._request.path, key]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _claim(name: str, fingerprint: str) -> IdempotencyRecord | None:
    """The finished record of this request, or None when it is now ours to do."""
    now = clock.now()
    lease = {"fingerprint": fingerprint, "claimed_at": now, "status": None, "answer": None}
    lease["expires_at"] = now + timedelta(hours=settings.CONFIG.idempotency_hours)
    try:
        with transaction.atomic():
            IdempotencyRecord.objects.create(name=name, **lease)
        return None
    except IntegrityError:
        pass
    rows = IdempotencyRecord.objects.filter(name=name)
    if rows.filter(expires_at__lte=now).update(**lease):
        return None
    known = rows.first()
    if known is not None and known.fingerprint != fingerprint:
        raise Invalid(
            "This Idempotency-Key was used for another request.", code="idempotency_key_reused"
        )
    if known is not None and known.status is not None:
        return known
    abandoned = now - timedelta(seconds=CLAIM_SECONDS)
    if rows.filter(status=None, claimed_at__lte=abandoned).update(**lease):
        return None
    raise Conflict(
        "The first request with this Idempotency-Key is still running.",
        code="idempotency_in_flight",
        extra={"retry_after": _RETRY_SECONDS},
    )


def _keep(name: str, response: Response) -> None:
    headers = {kept: response[kept] for kept in _KEPT_HEADERS if response.has_header(kept)}
    answer = json.dumps({"data": response.data, "headers": headers}, cls=JSONEncoder).encode()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + _cipher().encrypt(nonce, answer, name.encode())
    IdempotencyRecord.objects.filter(name=name).update(status=response.status_code, answer=sealed)


def _replay(record: IdempotencyRecord) -> Response:
    sealed = bytes(record.answer or b"")
    plain = _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], record.name.encode())
    answer = json.loads(plain)
    headers = {**answer["headers"], "Idempotency-Replayed": "true"}
    return Response(answer["data"], status=record.status, headers=headers)


def _release(name: str) -> None:
    IdempotencyRecord.objects.filter(name=name, status=None).delete()


def _cipher() -> AESGCM:
    return AESGCM(settings.KEYS.raw(KEY_NAME))


def forget_expired(*, limit: int = 1000) -> int:
    """Delete records past their time. Returns how many."""
    expired = IdempotencyRecord.objects.filter(expires_at__lte=clock.now())
    names = list(expired.values_list("name", flat=True)[:limit])
    deleted, _ = IdempotencyRecord.objects.filter(name__in=names).delete()
    return deleted
