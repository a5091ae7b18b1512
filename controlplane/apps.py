from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ControlplaneConfig(AppConfig):
    name = "controlplane"

    def ready(self) -> None:
        """Every process that sends tasks must send them through our Celery application, not
        through the default one that looks for a broker elsewhere."""
        import_module("controlplane.celery")
        import_module("controlplane.checks")
