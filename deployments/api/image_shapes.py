"""How images and builds look in the API. Each reads one of `deployments.selectors.image_cards`."""

from __future__ import annotations

from rest_framework import serializers

from deployments.api.shapes import ReasonShape, Shape


class HolderShape(Shape):
    host = serializers.CharField()
    environment = serializers.CharField()
    engine_id = serializers.CharField(help_text="What the host's own Engine calls it.")
    warning = serializers.CharField(help_text="Why it could not be removed; often empty.")


class ImageShape(Shape):
    id = serializers.CharField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField(help_text="Of all that goes into it; known before it is built.")
    base = serializers.CharField()
    base_id = serializers.CharField()
    registry_reference = serializers.CharField(help_text="Empty without a registry.")
    state = serializers.CharField(help_text="queued, running, ready, failed or gone")
    size = serializers.IntegerField(help_text="In bytes, with all layers; 0 until it is built.")
    hosts = HolderShape(many=True)
    build = serializers.CharField(allow_null=True, help_text="The newest; see /builds.")
    built_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class BuildShape(Shape):
    id = serializers.CharField()
    image = serializers.CharField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    kind = serializers.CharField(help_text="build, or copy: brought to a further host")
    host = serializers.CharField()
    environment = serializers.CharField()
    state = serializers.CharField(help_text="queued, running, succeeded or failed")
    sentence = serializers.CharField()
    attempts = serializers.IntegerField()
    failure = ReasonShape(allow_null=True, help_text="Of the last attempt.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    revision = serializers.IntegerField()


class BuildLogShape(Shape):
    build = serializers.CharField()
    state = serializers.CharField()
    is_over = serializers.BooleanField(help_text="Nothing more will come.")
    text = serializers.CharField()


class RemovalShape(Shape):
    host = serializers.CharField()
    environment = serializers.CharField()
    image = serializers.CharField(help_text="Empty where no row knows it any more.")
    model = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    engine_id = serializers.CharField()
    size = serializers.IntegerField()
    removed = serializers.BooleanField()
    warning = serializers.CharField(help_text="Why it could not be removed; often empty.")


class CleanedShape(Shape):
    host = serializers.CharField()
    environment = serializers.CharField()
    kept = serializers.IntegerField()
    removals = RemovalShape(many=True)
    problem = serializers.CharField(help_text="Why the host could not be asked; often empty.")


class GarbageShape(Shape):
    dry_run = serializers.BooleanField()
    items = CleanedShape(many=True)
