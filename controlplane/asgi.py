"""What uvicorn serves: xDS before Django, so that a held poll costs neither a thread nor a database
connection; then websockets; then pages and the API."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from controlplane.routing import application  # noqa: E402

__all__ = ["application"]
