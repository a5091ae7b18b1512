"""`slipway push`, `slipway models`, `slipway versions`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from cli import session
from cli.client import Client
from cli.errors import ApiProblem, SlipwayError
from cli.output import Format, Output, as_json, err, out, rows
from cli.shapes import Version

models = typer.Typer(help="Named lines of versions.", no_args_is_help=True)
versions = typer.Typer(help="Immutable versions of a model.", no_args_is_help=True)


def push(
    path: Annotated[Path, typer.Argument(help="An ONNX file.", exists=True, dir_okay=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="The model it is a version of.")],
    team: Annotated[
        str | None, typer.Option(help="Create the model, owned by this team, if there is none.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="classification, regression or other.")] = None,
    description: Annotated[str, typer.Option(help="What is new in it.")] = "",
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", help="NAME=VALUE; may be repeated.")
    ] = None,
    allow_nonfinite: Annotated[
        bool,
        typer.Option("--allow-nonfinite", help="Let NaN and infinity go in and come out."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Upload a model file; it becomes the next version once intake has accepted it."""
    told: dict[str, Any] = {
        "metadata": dict(_pair(text) for text in metadata or []),
        "description": description,
        "allow_nonfinite": allow_nonfinite,
    }
    with session.client() as slipway:
        if team:
            _ensure_model(slipway, model, team, task)
        try:
            version = _upload(slipway, model, path, told)
        except ApiProblem as problem:
            if problem.code == "model:not-found":
                problem.help = f"slipway push {path} --model {model} --team TEAM creates it."
            raise
    if output is Format.JSON:
        as_json(version.raw)
        return
    out.print(Text(f"{model} version {version.number}  {version.digest}"))
    out.print(Text(f"next: slipway deploy {model} --version {version.number} -e staging"))


def _upload(slipway: Client, model: str, path: Path, told: Mapping[str, Any]) -> Version:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task(path.name, total=path.stat().st_size)

        def sent(count: int) -> None:
            progress.advance(task, count)
            if progress.finished:
                progress.update(task, description="intake looks at it")

        return slipway.push(model, path, progress=sent, **told)


def _ensure_model(slipway: Client, name: str, team: str, task: str | None) -> None:
    try:
        slipway.model(name)
    except ApiProblem as problem:
        if problem.status != 404:
            raise
        slipway.create_model(name, team=team, task=task)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value


@models.command("list")
def list_models(output: Output = Format.TABLE) -> None:
    """All models that you may see."""
    with session.client() as slipway:
        rows(
            output,
            slipway.models(),
            ("MODEL", "TEAM", "TASK", "LATEST", "ALIASES"),
            lambda m: (
                m.name,
                m.team,
                m.task,
                m.latest_version,
                ", ".join(f"{alias}={number}" for alias, number in m.aliases.items()),
            ),
            lambda m: m.raw,
            "There is no model yet: slipway push FILE --model NAME --team TEAM",
        )


@models.command("create")
def create_model(
    name: str,
    team: Annotated[str, typer.Option(help="Who owns it.")],
    task: Annotated[str | None, typer.Option(help="classification, regression or other.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """A new, empty line of versions."""
    with session.client() as slipway:
        created = slipway.create_model(name, team=team, task=task)
    if output is Format.JSON:
        as_json(created.raw)
    else:
        out.print(Text(f"{created.name}, owned by {created.team}"))


@versions.command("list")
def list_versions(model: str, output: Output = Format.TABLE) -> None:
    """All versions of a model, with their digests."""
    with session.client() as slipway:
        rows(
            output,
            slipway.versions(model),
            ("VERSION", "SIZE", "CREATED", "DIGEST"),
            lambda v: (v.number, f"{v.size / 1024:.1f} kB", v.created_at, v.digest),
            lambda v: v.raw,
            f"{model} has no version yet: slipway push FILE --model {model}",
        )


def version_number(slipway: Client, model: str, wanted: str | None) -> int | str:
    """What `--version` means: a number, an alias, or the latest one."""
    if wanted:
        text = wanted.removeprefix("v") if wanted[1:].isdecimal() else wanted
        return int(text) if text.isdecimal() else text
    latest = slipway.model(model).latest_version
    if latest is None:
        raise SlipwayError(f"{model} has no version yet.")
    return latest
