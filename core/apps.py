from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import scratch  # noqa: PLC0415 - needs settings
        from core.api import converters  # noqa: PLC0415

        converters.register()
        scratch.folder()  # bodies of requests are put there too
