"""`slipway build …` and `slipway gc`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli import session
from cli.client import Client
from cli.exits import Exit
from cli.output import Format, Output, as_json, err, out, rows
from cli.shapes import Json

build = typer.Typer(help="How versions become images, and come to hosts.", no_args_is_help=True)

_EVERY = 0.5


@build.command("list")
def list_builds(
    model: Annotated[str | None, typer.Option("--model", "-m")] = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e")] = None,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed; commas between.")
    ] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """The newest first."""
    with session.client() as slipway:
        rows(
            output,
            slipway.builds(model=model, environment=environment, state=state, most=most),
            ("BUILD", "MODEL", "VERSION", "KIND", "HOST", "STATE", ""),
            lambda b: (b.id, b.model, b.version, b.kind, b.host, b.state, b.sentence),
            lambda b: b.raw,
            "Nothing was built yet: a rollout to a Docker host begins it.",
        )


@build.command("show")
def show(build_id: str, output: Output = Format.TABLE) -> None:
    """One build: where, how often, and why not."""
    with session.client() as slipway:
        found = slipway.build(build_id)
    if output is Format.JSON:
        as_json(found.raw)
    else:
        out.print(Text(f"version {found.version} of {found.model} on {found.host}  ", "bold"))
        out.print(Text(f"  {found.state}: {found.sentence}"))
        out.print(Text(f"  {found.kind}, attempts: {found.attempts}, image {found.image}"))
        if found.failure_code:
            out.print(Text(f"  last failure: {found.failure_code}"))
    raise typer.Exit(Exit.FAILED if found.state == "failed" else Exit.OK)


@build.command("log")
def log(
    build_id: str,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it is over.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """What was said while it was built. Ends with 4 when a followed one failed."""
    with session.client() as slipway:
        answer = slipway.build_log(build_id)
        if output is Format.JSON and not follow:
            as_json(answer)
            return
        screen = err if output is Format.JSON else out
        state = _follow(slipway, build_id, answer, screen) if follow else _print(answer)
        if output is Format.JSON:
            as_json(slipway.build_log(build_id))
    raise typer.Exit(Exit.FAILED if follow and state == "failed" else Exit.OK)


def _print(answer: Json) -> str:
    out.print(Text(answer["text"] or "(nothing yet)"))
    return str(answer["state"])


def _follow(slipway: Client, build_id: str, answer: Json, screen: Console) -> str:
    shown = ""
    while True:
        text = str(answer["text"])
        # Of a very long log the middle is left out while it grows; then its end is what is new.
        new = text.removeprefix(shown) if text.startswith(shown) else text[-2000:]
        if new.strip("\n"):
            screen.print(Text(new.strip("\n")))
        shown = text
        if answer["is_over"]:
            err.print(Text(str(answer["state"]), "bold"))
            return str(answer["state"])
        time.sleep(_EVERY)
        answer = slipway.build_log(build_id)


def gc(
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Default: wherever you may.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Remove images that nothing needs from Docker hosts: Slipway's own, and never one in use."""
    with session.client() as slipway:
        answer = slipway.collect_garbage(environment=environment, dry_run=dry_run)
    if output is Format.JSON:
        as_json(answer)
        return
    freed = 0
    for host in answer["items"]:
        name = f"{host['host']} in {host['environment']}"
        if host["problem"]:
            err.print(Text(f"{name} could not be asked: {host['problem']}"))
            continue
        for removal in host["removals"]:
            freed += 0 if removal["warning"] else removal["size"]
            out.print(Text(f"{name}: {_removal(removal, dry_run=dry_run)}"))
        out.print(Text(f"{name}: {host['kept']} kept"))
    # Layers are shared, so this is no promise of room on the disk.
    verb = "would be" if dry_run else "were"
    out.print(Text(f"images of {freed / 1e6:.0f} MB {verb} removed"))


def _removal(removal: Json, *, dry_run: bool) -> str:
    what = f"version {removal['version']} of {removal['model']}" if removal["model"] else "an image"
    what = f"{what} ({removal['engine_id'][7:19]})"
    if removal["warning"]:
        return f"{what} could not be removed: {removal['warning']}"
    return f"{what} {'would be removed' if dry_run else 'removed'}"
