"""Forms: fields and their first checks. Whether something is possible is the services' to say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms

from deployments.services.rollouts import MAX_REPLICAS

_TASKS = (
    ("classification", "Classification"),
    ("regression", "Regression"),
    ("other", "Something else"),
)
_RISKS = (("low", "Low"), ("medium", "Medium"), ("high", "High"))


def _wide(rows: int = 2) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows})


class Dialog(forms.Form):
    """Several forms share a page: each has ids of its own."""

    ids: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = f"{self.ids}-%s"


class NewModel(Dialog):
    ids = "new-model"

    name = forms.CharField(
        max_length=60, help_text="Small letters, digits and -. Part of addresses; it never changes."
    )
    team = forms.ChoiceField()
    task = forms.ChoiceField(choices=_TASKS)
    risk_tier = forms.ChoiceField(choices=_RISKS, initial="medium", label="Risk")
    description = forms.CharField(required=False, max_length=10_000, widget=_wide())

    def __init__(self, *args: Any, teams: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"] = forms.ChoiceField(choices=[(team, team) for team in teams])


class NewVersion(Dialog):
    ids = "new-version"

    artifact = forms.FileField(
        label="ONNX file",
        help_text="It is checked in a sandbox before anything of it is stored; that takes seconds.",
        widget=forms.FileInput(attrs={"accept": ".onnx"}),
    )
    description = forms.CharField(
        required=False, max_length=10_000, widget=_wide(), label="What is new in it"
    )
    allow_nonfinite = forms.BooleanField(
        required=False,
        label="NaN and infinity may go in and come out",
        help_text="Otherwise such a request is refused, and such an answer is an error.",
    )


class MoveAlias(Dialog):
    ids = "move-alias"

    alias = forms.CharField(max_length=60, help_text="Such as champion. A new one is made.")
    version = forms.TypedChoiceField(coerce=int)
    reason = forms.CharField(required=False, max_length=2_000, widget=_wide())

    def __init__(self, *args: Any, versions: Iterable[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"] = _version_choice(versions)


class StartRollout(Dialog):
    ids = "start-rollout"

    version = forms.TypedChoiceField(coerce=int)
    environment = forms.ChoiceField()
    replicas = forms.IntegerField(required=False, min_value=1, max_value=MAX_REPLICAS)
    pause_before_switch = forms.BooleanField(
        required=False, label="Wait for a person before the switch"
    )
    comment = forms.CharField(required=False, max_length=2_000, widget=_wide())

    def __init__(
        self, *args: Any, versions: Iterable[int], environments: Iterable[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"] = _version_choice(versions)
        self.fields["environment"] = forms.ChoiceField(
            choices=[(name, name) for name in environments]
        )
        self.fields["replicas"].help_text = "Empty: as many as now, or one."

    def strategy(self) -> dict[str, Any]:
        paused = bool(self.cleaned_data["pause_before_switch"])
        return {"kind": "blue-green"} | ({"pause_before_switch": True} if paused else {})


def _version_choice(versions: Iterable[int]) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=[(number, f"version {number}") for number in versions], coerce=int
    )
