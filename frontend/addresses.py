"""Addresses that several pages name."""

from __future__ import annotations

from django.urls import reverse


def endpoint_url(environment: str, name: str) -> str:
    return reverse("endpoint", args=[environment, name])


def model_url(name: str) -> str:
    return reverse("model", args=[name])
