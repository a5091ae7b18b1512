"""Accounts are made by administrators, the first one by whoever runs the machine."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from core.errors import Conflict, Invalid, NotFound
from governance import audit, authorize
from governance.domain.access import SYSTEM, Subject
from governance.domain.roles import Role
from governance.models import RoleBinding, User
from governance.services import members

if TYPE_CHECKING:
    from governance.domain.access import Actor

_PASSWORD_BYTES = 18


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """`password` is None when the account was there before: it is shown once, when it is made."""

    user: User
    password: str | None


def bootstrap_admin(*, username: str = "admin") -> Bootstrapped:
    """The first organisation admin. Repeating it changes nothing but a role that was taken away.

    Only for the command line of the machine that Slipway runs on: whoever has that, has all.
    """
    with transaction.atomic():
        user = User.objects.filter(username=username).first()
        password = None
        if user is None:
            password = secrets.token_urlsafe(_PASSWORD_BYTES)
            user = _create(SYSTEM, username, "", User.Kind.PERSON, password)
        elif not user.is_active or user.kind != User.Kind.PERSON:
            raise Conflict(
                f"The account {username!r} is disabled or no person; choose another name.",
                code="account:unusable",
            )
        if not RoleBinding.objects.filter(user=user, role=Role.ORG_ADMIN).exists():
            members.grant(actor=SYSTEM, username=username, role=Role.ORG_ADMIN)
    return Bootstrapped(user, password)


def create_person(
    *, actor: Actor, username: str, display_name: str = "", password: str | None = None
) -> User:
    """A person's account. Without a password they come in by a login link and set one.

    Raises:
        NotAllowed, Invalid, Conflict: not theirs to do, no username, or a taken one.
    """
    authorize.require(actor, "account.create", Subject("account"))
    return _create(actor, username, display_name, User.Kind.PERSON, password)


def create_service(*, actor: Actor, username: str, display_name: str = "") -> User:
    """An account for a machine: it never signs in, never approves, and only holds tokens.

    Raises:
        NotAllowed, Invalid, Conflict: not theirs to do, no username, or a taken one.
    """
    authorize.require(actor, "account.create", Subject("account"))
    return _create(actor, username, display_name, User.Kind.SERVICE, None)


def disable(*, actor: Actor, user_id: str) -> None:
    """From the next request on, neither its sessions nor its tokens do anything.

    Raises:
        NotAllowed, NotFound: not theirs to do, or no such account.
        Conflict: nobody would be left to administer.
    """
    subject = Subject("account", user_id)
    authorize.require(actor, "account.disable", subject)
    with transaction.atomic():
        members.require_another_admin(Q(user_id=user_id))
        if not User.objects.filter(pk=user_id).update(is_active=False):
            raise NotFound("There is no such account.")
        audit.record(actor, "account.disable", subject)


def _create(
    actor: Actor, username: str, display_name: str, kind: str, password: str | None
) -> User:
    user = User(username=User.normalize_username(username), kind=kind)
    user.display_name = display_name
    try:
        User._meta.get_field("username").clean(user.username, user)
    except ValidationError as problem:
        raise Invalid(
            "A username is 1 to 150 letters, digits and @ . + - _ only.",
            code="account:bad-username",
        ) from problem
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            audit.record(
                actor, "account.create", Subject("account", user.pk), username=username, kind=kind
            )
    except IntegrityError as problem:
        raise Conflict(
            f"There is an account {username!r} already.", code="account:name-taken"
        ) from problem
    return user
