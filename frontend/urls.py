"""Pages, then their partials: each region of a page has an address of its own."""

from __future__ import annotations

from django.urls import path

from frontend.views import (
    audit,
    endpoint,
    fleet,
    hosts,
    images,
    keys,
    registry,
    settings,
    styleguide,
    theme,
)

_ENDPOINT = "endpoints/<str:environment>/<str:name>"
_MODEL = "models/<str:name>"
_ROLLOUT = "rollouts/<str:rollout_id>"
_HOST = "settings/hosts/<str:host_id>"
_KEY = "keys/<str:key_id>"

urlpatterns = [
    path("", fleet.whole, name="fleet"),
    path(_ENDPOINT, endpoint.whole, name="endpoint"),
    path("models", registry.listed, name="models"),
    path(_MODEL, registry.one, name="model"),
    path("keys", keys.listed, name="keys"),
    path(_KEY, keys.one, name="key"),
    path("builds/<str:build_id>", images.build, name="build"),
    path("audit", audit.listed, name="audit"),
    path("settings/environments", hosts.listed, name="environments"),
    path("settings/tokens", settings.tokens, name="tokens"),
    path("settings/account", settings.account, name="account"),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    # What people do.
    path(f"{_ROLLOUT}/promote", endpoint.promote, name="rollout-promote"),
    path(f"{_ROLLOUT}/pause", endpoint.pause, name="rollout-pause"),
    path(f"{_ROLLOUT}/resume", endpoint.resume, name="rollout-resume"),
    path(f"{_ROLLOUT}/abort", endpoint.abort, name="rollout-abort"),
    path(f"{_ENDPOINT}/rollback", endpoint.roll_back, name="rollback"),
    path(f"{_ENDPOINT}/open", endpoint.open_to_all, name="endpoint-open"),
    path(f"{_ENDPOINT}/close", endpoint.require_keys, name="endpoint-close"),
    path("keys/new/issue", keys.issue, name="key-issue"),
    path(f"{_KEY}/edit", keys.edit, name="key-edit"),
    path(f"{_KEY}/rotate", keys.rotate, name="key-rotate"),
    path(f"{_KEY}/revoke", keys.revoke, name="key-revoke"),
    path("models/new/create", registry.create, name="model-create"),
    path(f"{_MODEL}/versions", registry.upload, name="model-upload"),
    path(f"{_MODEL}/aliases", registry.move_alias, name="model-alias"),
    path(f"{_MODEL}/rollouts", registry.roll_out, name="model-rollout"),
    path("settings/tokens/new", settings.create_token, name="token-create"),
    path("settings/tokens/<str:token_id>/revoke", settings.revoke_token, name="token-revoke"),
    path("settings/environments/<str:environment>/hosts", hosts.add, name="host-add"),
    path(f"{_HOST}/edit", hosts.edit, name="host-edit"),
    path(f"{_HOST}/replace-replicas", hosts.replace, name="host-replace"),
    path(f"{_HOST}/remove", hosts.remove, name="host-remove"),
    path("settings/theme", theme.choose, name="theme"),
    # Regions.
    path("partials/environments", hosts.region, name="environments-region"),
    path("partials/fleet", fleet.region, name="fleet-region"),
    path(f"partials/{_ENDPOINT}/head", endpoint.head, name="endpoint-head"),
    path(f"partials/{_ENDPOINT}/body", endpoint.body, name="endpoint-body"),
    path(f"partials/{_ENDPOINT}/figures", endpoint.figures, name="endpoint-figures"),
    path(f"partials/{_ENDPOINT}/summary", endpoint.summary, name="endpoint-summary"),
    path(f"partials/{_ENDPOINT}/table", endpoint.table, name="endpoint-table"),
    path(f"partials/{_ROLLOUT}/story", endpoint.story, name="rollout-story"),
    path("partials/builds/<str:build_id>", images.build_region, name="build-region"),
]
