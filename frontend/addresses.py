"""Addresses that several pages name."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse


def endpoint_url(environment: str, name: str) -> str:
    return reverse("endpoint", args=[environment, name])


def model_url(name: str) -> str:
    return reverse("model", args=[name])


def keys_url(environment: str, endpoint: str) -> str:
    return f"{reverse('keys')}?{urlencode({'environment': environment, 'endpoint': endpoint})}"
