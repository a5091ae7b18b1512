"""The forms of hosts. Whether an Engine answers is for the service to find out."""

from __future__ import annotations

from typing import Any

from django import forms

from deployments.domain.engines import FORMS, Credentials
from deployments.services.hosts import LONGEST_PEM, MAX_CAPACITY
from frontend.forms import Dialog

_PEM = ("authority", "certificate", "key")
_TOGETHER = "An authority, a certificate and its key come together, or not at all."


def _pem(label: str, hint: str) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(
        required=False, max_length=LONGEST_PEM, widget=widget, label=label, help_text=hint
    )


class EditHost(Dialog):
    """Of a Docker host; `of` names it among the forms of a page."""

    capacity = forms.IntegerField(
        min_value=1, max_value=MAX_CAPACITY, help_text="How many replicas it may run."
    )
    publish_address = forms.CharField(
        required=False,
        max_length=100,
        help_text="Its IP address on which the ports of replicas are published.",
    )
    authority = _pem("ca.pem", "Only for tcp: who has signed the Engine's certificate.")
    certificate = _pem("cert.pem", "Which certificate the Engine accepts.")
    key = _pem("key.pem", "The key of that, without a password. It is never shown again.")
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = f"{of}-%s"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        given = [bool(cleaned.get(name)) for name in _PEM]
        if any(given) and not all(given):
            raise forms.ValidationError(_TOGETHER)
        return cleaned

    def credentials(self) -> Credentials | None:
        given = [self.cleaned_data[name] for name in _PEM]
        return Credentials(*given) if all(given) else None


class EditProcessHost(Dialog):
    """It is this machine: there is nothing else to change."""

    capacity = forms.IntegerField(
        min_value=1, max_value=MAX_CAPACITY, help_text="How many replicas it may run."
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = f"{of}-%s"


class NewHost(EditHost):
    name = forms.CharField(max_length=60, help_text="Small letters, digits and -.")
    address = forms.CharField(max_length=200, help_text=FORMS)
    field_order = ("name", "address", "publish_address", "capacity", *_PEM)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["publish_address"].help_text += " Empty: where the Engine itself is."
        self.fields["capacity"].initial = 32
        del self.fields["revision"]


class GiveUp(Dialog):
    reason = forms.CharField(
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept in the audit log.",
    )

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = f"{of}-%s"
