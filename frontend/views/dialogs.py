"""Forms in dialogs: what opens them, what they may hold, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from core.errors import FieldProblem, Invalid
from frontend.views.base import is_partial


@dataclass(frozen=True, slots=True)
class FormAction:
    """A button that opens a form in a dialog."""

    dialog: str
    title: str
    icon: str
    url: str
    effect: str
    verb: str
    form: forms.Form
    disabled: str = ""
    primary: bool = False
    encoding: str = "application/x-www-form-urlencoded"


def checked(form: forms.Form) -> dict[str, Any]:
    """What was entered, when each field may be that.

    Raises:
        Invalid: with one sentence per wrong field.
    """
    if form.is_valid():
        return form.cleaned_data
    problems = [
        FieldProblem(f"/{name}", "invalid", f"{_label(form, name)}{sentence}")
        for name, sentences in form.errors.items()
        for sentence in sentences
    ]
    raise Invalid("Something in the form is not right.", problems=problems)


def _label(form: forms.Form, name: str) -> str:
    """Empty for what is wrong with several fields together."""
    return f"{form.fields[name].label or name}: " if name in form.fields else ""


def done(request: HttpRequest, sentence: str, to: str) -> HttpResponse:
    """Say what happened, on the page where it shows."""
    messages.success(request, sentence)
    if not is_partial(request):
        return HttpResponseRedirect(to)
    response = HttpResponse(status=204)
    response["HX-Redirect"] = to
    return response
