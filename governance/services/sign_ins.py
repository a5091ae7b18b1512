"""What is written down when somebody signs in, by whichever way, and when somebody is refused."""

from __future__ import annotations

from typing import Any

import structlog
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import transaction
from django.http import HttpRequest

from core.api.requests import request_id_of
from governance import audit
from governance.domain.access import Subject
from governance.models import User
from governance.selectors import actors

log = structlog.get_logger(__name__)


def record_sign_in(sender: Any, request: HttpRequest | None, user: User, **_: Any) -> None:
    """Written before the person sees anything: no way in is left unrecorded."""
    del sender
    request_id = request_id_of(request) if request is not None else ""
    with transaction.atomic():
        actor = actors.of_user(user, request_id=request_id)
        audit.record(actor, "account.signed_in", Subject("account", user.pk))


def log_refused_sign_in(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Logged, not recorded: whoever guesses must not be able to fill the audit log."""
    del sender
    log.warning("sign_in_refused", request_id=request_id_of(request) if request else "")


def connect() -> None:
    user_logged_in.connect(record_sign_in, dispatch_uid="governance.record_sign_in")
    user_login_failed.connect(log_refused_sign_in, dispatch_uid="governance.refused_sign_in")
