"""How this app's values look in the API. Each reads one of `deployments.selectors.cards`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

Shape = serializers.Serializer[Any]


class RunningShape(Shape):
    environment = serializers.CharField()
    version = serializers.IntegerField()


class ModelShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    team = serializers.CharField()
    task = serializers.CharField()
    risk_tier = serializers.CharField()
    description = serializers.CharField()
    latest_version = serializers.IntegerField(allow_null=True)
    aliases = serializers.DictField(child=serializers.IntegerField())
    running = RunningShape(many=True)
    created_at = serializers.DateTimeField()
    revision = serializers.IntegerField()


class ArtifactShape(Shape):
    digest = serializers.CharField()
    size = serializers.IntegerField()


class TensorShape(Shape):
    name = serializers.CharField()
    datatype = serializers.CharField()
    shape = serializers.ListField(child=serializers.IntegerField())


class SignatureShape(Shape):
    inputs = TensorShape(many=True)
    outputs = TensorShape(many=True)


class VersionShape(Shape):
    id = serializers.CharField()
    model = serializers.CharField()
    number = serializers.IntegerField()
    artifact = ArtifactShape()
    signature = SignatureShape()
    allow_nonfinite = serializers.BooleanField(
        help_text="Whether NaN and infinity may go in and come out."
    )
    sample = serializers.DictField(help_text="One inference request that intake has run.")
    intake = serializers.DictField(help_text="What intake found.")
    metadata = serializers.DictField()
    description = serializers.CharField()
    aliases = serializers.ListField(child=serializers.CharField())
    running = serializers.ListField(
        child=serializers.CharField(), help_text="Environments in which it is stable."
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class AliasShape(Shape):
    name = serializers.CharField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    revision = serializers.IntegerField()


class AliasMoveShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    from_version = serializers.IntegerField(allow_null=True)
    to_version = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()
    moved_by = serializers.CharField()
    moved_at = serializers.DateTimeField()


class EngineShape(Shape):
    version = serializers.CharField(help_text="Empty for a host without an Engine.")
    os = serializers.CharField()
    cpus = serializers.IntegerField()
    memory_bytes = serializers.IntegerField()
    has_base_image = serializers.BooleanField(help_text="Versions can be built on it.")
    security = serializers.ListField(child=serializers.CharField())


class HostShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    environment = serializers.CharField()
    kind = serializers.CharField()
    address = serializers.CharField()
    publish_address = serializers.CharField(help_text="Where the ports of its replicas are.")
    has_credentials = serializers.BooleanField(help_text="It is reached with mutual TLS.")
    engine = EngineShape()
    capacity = serializers.IntegerField()
    replicas = serializers.IntegerField()
    free = serializers.IntegerField()
    state = serializers.CharField(help_text="ok, silent or unknown")
    last_contact_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()
    created_at = serializers.DateTimeField()
    revision = serializers.IntegerField()


class ResourceShape(Shape):
    type = serializers.CharField()
    served = serializers.IntegerField()
    acknowledged = serializers.IntegerField()
    rejected = serializers.IntegerField()
    reason = serializers.CharField()


class ReplacedShape(Shape):
    replaced = serializers.IntegerField(help_text="How many replicas were given up.")


class GatewayShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    environment = serializers.CharField()
    address = serializers.CharField()
    state = serializers.CharField(help_text="ok, silent or unknown")
    last_poll_at = serializers.DateTimeField(allow_null=True)
    resources = ResourceShape(many=True)
    created_at = serializers.DateTimeField()
    revision = serializers.IntegerField()


class NewGatewayShape(GatewayShape):
    """The only answer that ever holds the token."""

    token = serializers.CharField(help_text="Shown once; keep it now.")


class EnvironmentShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    is_production = serializers.BooleanField()
    bake_seconds = serializers.FloatField()
    drain_seconds = serializers.FloatField()
    gateways = GatewayShape(many=True)
    hosts = HostShape(many=True)
    created_at = serializers.DateTimeField()
    revision = serializers.IntegerField()


class ReleaseShape(Shape):
    id = serializers.CharField()
    endpoint = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField()
    image_digest = serializers.CharField()
    config = serializers.DictField()
    created_at = serializers.DateTimeField()


class TrafficShape(Shape):
    release = serializers.CharField()
    version = serializers.IntegerField()
    percent = serializers.IntegerField()
    mirror_percent = serializers.IntegerField()


class ReasonShape(Shape):
    code = serializers.CharField()
    message = serializers.CharField()
    evidence = serializers.DictField()


class ReplicaShape(Shape):
    id = serializers.CharField()
    release = serializers.CharField()
    version = serializers.IntegerField()
    host = serializers.CharField()
    host_silent = serializers.BooleanField(help_text="Then the state is what was known last.")
    state = serializers.CharField()
    address = serializers.CharField()
    port = serializers.IntegerField(allow_null=True)
    ready_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    failure = serializers.DictField(allow_null=True)
    created_at = serializers.DateTimeField()


class EndpointRefShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    environment = serializers.CharField()


class ReleaseRefShape(Shape):
    release = serializers.CharField()
    version = serializers.IntegerField()


class StepShape(Shape):
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField(help_text="done, current, failed, skipped or todo")


class SplitShape(Shape):
    target_percent = serializers.IntegerField()
    mirror_percent = serializers.IntegerField()


class RolloutStatusShape(Shape):
    phase = serializers.CharField(help_text="pending, provisioning, stepping, settling or done")
    outcome = serializers.CharField(help_text="empty, promoted, observed or reverted")
    badge = serializers.CharField()
    sentence = serializers.CharField()
    step = serializers.IntegerField()
    steps = StepShape(many=True)
    waiting = serializers.CharField()
    split = SplitShape()
    since = serializers.DateTimeField()
    reason = ReasonShape(allow_null=True)


class TimingsShape(Shape):
    created_at = serializers.DateTimeField()
    switched_at = serializers.DateTimeField(allow_null=True)
    switch_acknowledged_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class AcknowledgementShape(Shape):
    name = serializers.CharField()
    acknowledged_ms = serializers.FloatField()


class RolloutShape(Shape):
    id = serializers.CharField()
    number = serializers.IntegerField()
    endpoint = EndpointRefShape()
    kind = serializers.CharField()
    target = ReleaseRefShape()
    stable = ReleaseRefShape(allow_null=True)
    strategy = serializers.DictField()
    spec = serializers.DictField()
    status = RolloutStatusShape()
    comment = serializers.CharField()
    timings = TimingsShape()
    gateways = AcknowledgementShape(many=True)
    build = serializers.CharField(allow_null=True, help_text="The newest of its image, if any.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    generation = serializers.IntegerField()
    allowed_actions = serializers.ListField(child=serializers.CharField())
    disabled_actions = serializers.DictField(child=serializers.CharField())


class EventShape(Shape):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    message = serializers.CharField()
    evidence = serializers.DictField()


class EventsShape(Shape):
    items = EventShape(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class EndpointShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    model = serializers.CharField()
    environment = serializers.CharField()
    url = serializers.CharField()
    is_open = serializers.BooleanField(help_text="Clients need no key.")
    replicas = serializers.IntegerField()
    state = serializers.CharField()
    sentence = serializers.CharField()
    stable_release = ReleaseShape(allow_null=True)
    traffic = TrafficShape(many=True)
    replica_list = ReplicaShape(many=True)
    active_rollout = RolloutShape(allow_null=True)
    cannot_roll_back = serializers.CharField(help_text="Empty, or why not.")
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class KeyUseShape(Shape):
    endpoint = serializers.CharField()
    requests_today = serializers.IntegerField(help_text="Since midnight, UTC.")
    exhausted = serializers.BooleanField()


class KeyShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    environment = serializers.CharField()
    endpoints = serializers.ListField(child=serializers.CharField())
    other_endpoints = serializers.IntegerField(help_text="That the caller may not see.")
    state = serializers.CharField(help_text="active, expiring, exhausted, expired or revoked")
    requests_per_minute = serializers.IntegerField(
        allow_null=True, help_text="At each endpoint and gateway; null: no limit."
    )
    requests_per_day = serializers.IntegerField(
        allow_null=True, help_text="At each endpoint; null: no limit."
    )
    usage = KeyUseShape(many=True)
    resets_at = serializers.DateTimeField(help_text="When requests per day count anew.")
    acknowledged = serializers.BooleanField(
        help_text="Every gateway of the environment runs the newest keys."
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    rotated_to = serializers.CharField(allow_null=True, help_text="The key that replaces it.")
    revision = serializers.IntegerField()


class NewKeyShape(KeyShape):
    """The only answer that ever holds the key."""

    key = serializers.CharField(help_text="Shown once; keep it now.")


class LogShape(Shape):
    replica = serializers.CharField()
    release = serializers.CharField()
    host = serializers.CharField()
    text = serializers.CharField()
    silent = serializers.BooleanField(help_text="The host did not answer.")


class LogsShape(Shape):
    items = LogShape(many=True)


class ProgressShape(Shape):
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    message = serializers.CharField()


class TargetShape(Shape):
    kind = serializers.CharField()
    id = serializers.CharField()


class OperationShape(Shape):
    id = serializers.CharField()
    type = serializers.CharField()
    status = serializers.CharField(help_text="queued, running, succeeded, failed or cancelled")
    progress = ProgressShape()
    target = TargetShape()
    result = serializers.DictField(allow_null=True)
    error = ReasonShape(allow_null=True)
    created_at = serializers.DateTimeField()
