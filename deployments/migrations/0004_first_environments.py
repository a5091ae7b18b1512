"""`staging` and `production` exist from the start, with the settings' durations."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import migrations


def create(apps, schema_editor) -> None:
    Environment = apps.get_model("deployments", "Environment")
    config = settings.CONFIG
    for name, production, bake in (
        ("staging", False, config.bake_seconds),
        ("production", True, config.production_bake_seconds),
    ):
        Environment.objects.get_or_create(
            name=name,
            defaults={
                "is_production": production,
                "bake_seconds": bake,
                "drain_seconds": config.drain_seconds,
                "smoke_secret": secrets.token_hex(32),
            },
        )


class Migration(migrations.Migration):
    dependencies = [("deployments", "0003_slots_and_publications")]

    # Going back leaves them: endpoints may hang on them.
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
