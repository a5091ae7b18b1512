"""What may be sent. Names and bounds are checked by the services; here is what a field is."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.fields import JSONObject, Number, OneOf, Text, Truth, Whole
from core.api.serializers import StrictSerializer
from deployments.domain import keys, naming
from deployments.domain.engines import FORMS
from deployments.models import Host, Model
from deployments.services.hosts import LONGEST_PEM, MAX_CAPACITY
from deployments.services.models import LONGEST_DESCRIPTION
from deployments.services.rollouts import MAX_REPLICAS

_LARGEST_NUMBER = 2**31 - 1
_NAME = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
LONGEST_REASON = 2_000


class Name(serializers.RegexField):
    """Text that may be a name; which names are reserved is the service's business."""

    def __init__(self) -> None:
        super().__init__(_NAME, max_length=naming.LONGEST, error_messages={"invalid": naming.FORM})

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


@extend_schema_field(
    {
        "oneOf": [
            {"type": "integer", "minimum": 1, "maximum": _LARGEST_NUMBER},
            {"type": "string", "pattern": "^[ -~]{1,60}$"},
        ]
    }
)
class VersionChoice(serializers.Field[int | str, object, int | str, int | str]):
    """A version's number, or the name of an alias."""

    default_error_messages = {"invalid": "This is a version's number or an alias."}  # noqa: RUF012

    def to_internal_value(self, data: object) -> int | str:
        if isinstance(data, int) and not isinstance(data, bool) and 0 < data <= _LARGEST_NUMBER:
            return data
        if isinstance(data, str) and 0 < len(data) <= 60 and data.isascii() and data.isprintable():
            return data
        raise self._wrong()

    def to_representation(self, value: int | str) -> int | str:
        return value

    def _wrong(self) -> serializers.ValidationError:
        return serializers.ValidationError(self.error_messages["invalid"], code="invalid")


def _description() -> Text:
    return Text(max_length=LONGEST_DESCRIPTION, allow_blank=True, required=False)


class NewModel(StrictSerializer):
    name = Name()
    team = Text(max_length=60)
    task = OneOf(choices=Model.Task.values, required=False)
    risk_tier = OneOf(choices=Model.RiskTier.values, required=False)
    description = _description()


class ModelChange(StrictSerializer):
    task = OneOf(choices=Model.Task.values, required=False)
    risk_tier = OneOf(choices=Model.RiskTier.values, required=False)
    description = _description()


class NewVersion(StrictSerializer):
    """The fields of the multipart body, besides the file."""

    artifact = serializers.FileField(allow_empty_file=True)
    sha256 = Text(max_length=71, required=False, help_text="Of the file, in hexadecimal.")
    metadata = Text(max_length=64 * 1024, required=False, help_text="A JSON object.")
    description = _description()
    allow_nonfinite = OneOf(
        choices=["true", "false"],
        required=False,
        help_text="Whether NaN and infinity may go in and come out.",
    )


class AliasMoveInput(StrictSerializer):
    version = Whole(min_value=1, max_value=_LARGEST_NUMBER)
    reason = Text(max_length=LONGEST_REASON, allow_blank=True, allow_null=True, required=False)


class EnvironmentChange(StrictSerializer):
    bake_seconds = Number(min_value=0, max_value=3600, required=False)
    drain_seconds = Number(min_value=0, max_value=3600, required=False)


def _pem(what: str) -> Text:
    return Text(max_length=LONGEST_PEM, help_text=f"{what}, in PEM.")


class EngineTls(StrictSerializer):
    authority = _pem("The authority that has signed the Engine's certificate")
    certificate = _pem("The certificate that the Engine accepts from Slipway")
    key = _pem("Its private key, without a password; never shown again")


def _publish_address() -> Text:
    sentence = "The host's IP address on which the ports of its replicas are published."
    return Text(max_length=100, required=False, help_text=sentence)


class NewHost(StrictSerializer):
    environment = Text(max_length=60)
    name = Name()
    kind = OneOf(choices=Host.Kind.values, required=False)
    address = Text(
        max_length=200, allow_blank=True, required=False, help_text=f"Of a Docker host. {FORMS}"
    )
    publish_address = _publish_address()
    tls = EngineTls(required=False)
    capacity = Whole(min_value=1, max_value=MAX_CAPACITY, required=False)


class HostChange(StrictSerializer):
    publish_address = _publish_address()
    tls = EngineTls(required=False)
    capacity = Whole(min_value=1, max_value=MAX_CAPACITY, required=False)


class ReplaceInput(StrictSerializer):
    reason = Text(max_length=LONGEST_REASON, allow_blank=True, required=False)


class NewGateway(StrictSerializer):
    environment = Text(max_length=60)
    name = Name()
    address = Text(max_length=200, help_text="http:// or https://, a host, perhaps a port.")


def _limit() -> Whole:
    return Whole(min_value=1, max_value=keys.MAX_LIMIT, required=False, allow_null=True)


def _endpoints(*, required: bool) -> serializers.ListField:
    """By name."""
    return serializers.ListField(
        child=Text(max_length=60),
        min_length=1,
        max_length=keys.MAX_ENDPOINTS,
        required=required,
        help_text="By name.",
    )


def _lifetime() -> Whole:
    return Whole(
        min_value=1,
        max_value=keys.MAX_DAYS,
        required=False,
        help_text=f"{keys.DEFAULT_DAYS} unless given.",
    )


class NewKey(StrictSerializer):
    environment = Text(max_length=60)
    name = Text(max_length=keys.LONGEST_NAME)
    endpoints = _endpoints(required=True)
    expires_in_days = _lifetime()
    requests_per_minute = _limit()
    requests_per_day = _limit()


class KeyChange(StrictSerializer):
    name = Text(max_length=keys.LONGEST_NAME, required=False)
    endpoints = _endpoints(required=False)
    requests_per_minute = _limit()
    requests_per_day = _limit()


class KeyRotation(StrictSerializer):
    overlap_hours = Number(
        min_value=0,
        max_value=keys.MAX_OVERLAP_HOURS,
        required=False,
        help_text=f"{keys.DEFAULT_OVERLAP_HOURS:g} unless given; 0 ends the old key at once.",
    )
    expires_in_days = _lifetime()


class StrategyInput(StrictSerializer):
    kind = OneOf(choices=["blue-green"], required=False)
    bake_seconds = Number(min_value=0, max_value=3600, required=False)
    pause_before_switch = Truth(required=False)


class NewRollout(StrictSerializer):
    model = Text(max_length=60)
    version = VersionChoice()
    environment = Text(max_length=60)
    replicas = Whole(min_value=1, max_value=MAX_REPLICAS, required=False, allow_null=True)
    strategy = StrategyInput(required=False, allow_null=True)
    config = JSONObject(required=False, allow_null=True)
    comment = Text(max_length=LONGEST_REASON, allow_blank=True, allow_null=True, required=False)


class CollectInput(StrictSerializer):
    environment = Text(max_length=60, required=False, allow_null=True)
    dry_run = Truth(required=False)


class ActionInput(StrictSerializer):
    reason = Text(max_length=LONGEST_REASON, allow_blank=True, allow_null=True, required=False)


class RollbackInput(StrictSerializer):
    to = VersionChoice(
        required=False, allow_null=True, help_text="A release, or a version's number."
    )
    reason = Text(max_length=LONGEST_REASON, allow_blank=True, allow_null=True, required=False)
