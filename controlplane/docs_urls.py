"""Pages that explain, for everybody: no account, no network."""

from __future__ import annotations

from django.urls import path

from controlplane import problem_pages

urlpatterns = [
    path("problems/", problem_pages.index, name="problems"),
    path("problems/<str:code>", problem_pages.one, name="problem"),
]
