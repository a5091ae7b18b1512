"""Addresses for probes and scrapers."""

from __future__ import annotations

from django.urls import path

from controlplane import health

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.prometheus, name="metrics"),
]
