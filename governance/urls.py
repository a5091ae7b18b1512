"""Signing in and looking after one's own account. Nobody signs up: accounts are given."""

from __future__ import annotations

from collections.abc import Callable

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.cache import never_cache

from governance.api.login import closed, link
from governance.domain.catalogue import PUBLIC, SIGNED_IN
from governance.domain.declare import declares

View = Callable[..., HttpResponseBase]

_open = declares(PUBLIC)


def _own(view: View) -> View:
    """Shows what is one person's, such as recovery codes: no browser keeps it after they left."""
    return declares(SIGNED_IN)(never_cache(view))


urlpatterns = [
    path("link/<str:secret>", link, name="login-link"),
    path("login/", _open(account.login), name="account_login"),
    path("logout/", _open(account.logout), name="account_logout"),
    path("inactive/", _open(account.account_inactive), name="account_inactive"),
    path("reauthenticate/", _own(account.reauthenticate), name="account_reauthenticate"),
    path("password/change/", _own(account.password_change), name="account_change_password"),
    path("password/set/", _own(account.password_set), name="account_set_password"),
    path("2fa/", _own(mfa.index), name="mfa_index"),
    path("2fa/authenticate/", _open(mfa.authenticate), name="mfa_authenticate"),
    path("2fa/reauthenticate/", _own(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("2fa/totp/activate/", _own(totp.activate_totp), name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", _own(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path(
        "2fa/recovery-codes/",
        _own(recovery_codes.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/generate/",
        _own(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/download/",
        _own(recovery_codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    # Named by allauth's pages.
    path("signup/", closed, name="account_signup"),
    path("password/reset/", closed, name="account_reset_password"),
    path("email/", closed, name="account_email"),
]
