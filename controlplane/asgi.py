"""What uvicorn serves: xDS before Django, so that a held poll costs neither a thread nor a database
connection; then websockets; then pages and the API."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup(set_prefix=False)

from controlplane.routing import application  # noqa: E402
from core import scratch  # noqa: E402

scratch.sweep()

__all__ = ["application"]
