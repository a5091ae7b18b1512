"""`slipway deploy`, `status`, `rollback`, `logs`, and `slipway rollouts …`."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from cli import session
from cli.client import Client
from cli.commands.registry import version_number
from cli.exits import Exit, of_rollback, of_rollout
from cli.output import (
    Format,
    Output,
    as_json,
    endpoint_view,
    err,
    out,
    rollout_line,
    rollout_view,
    rows,
    versions,
)
from cli.shapes import Endpoint, Json, Rollout

rollouts = typer.Typer(help="What took, takes or shall take traffic.", no_args_is_help=True)

_EVERY = 0.5

Environment = Annotated[str, typer.Option("--environment", "-e", help="staging or production.")]
Wait = Annotated[bool, typer.Option(help="Stay until it is decided.")]
Timeout = Annotated[float, typer.Option(help="Seconds to stay at most; then exit code 5.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the record.")]


def deploy(
    model: str,
    environment: Environment = "staging",
    version: Annotated[
        str | None, typer.Option("--version", "-v", help="Number or alias; default: the latest.")
    ] = None,
    replicas: Annotated[int | None, typer.Option(min=1, help="Copies to run.")] = None,
    bake_seconds: Annotated[
        float | None, typer.Option(min=0, help="How long the old one stays warm.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="For those who read it later.")] = None,
    wait: Wait = True,
    timeout: Timeout = 600.0,
    output: Output = Format.TABLE,
) -> None:
    """Roll a version out: blue-green, and back by itself if anything is wrong with it."""
    strategy: dict[str, Any] = {"kind": "blue-green"}
    if bake_seconds is not None:
        strategy["bake_seconds"] = bake_seconds
    with session.client() as slipway:
        rollout = slipway.deploy(
            model,
            version_number(slipway, model, version),
            environment=environment,
            replicas=replicas,
            strategy=strategy,
            comment=comment,
        )
        _finish(slipway, rollout, wait=wait, timeout=timeout, output=output)


def rollback(
    endpoint: str,
    environment: Environment = "staging",
    to: Annotated[
        str | None, typer.Option(help="A version number or rel_…; default: the one before.")
    ] = None,
    reason: Reason = "",
    wait: Wait = True,
    timeout: Timeout = 120.0,
    output: Output = Format.TABLE,
) -> None:
    """Give the traffic back to an earlier release; at once if it is still warm."""
    with session.client() as slipway:
        found = slipway.endpoint(endpoint, environment)
        target = int(to) if to and to.isdecimal() else to
        rollout = slipway.rollback(found.id, to=target, reason=reason)
        _finish(slipway, rollout, wait=wait, timeout=timeout, output=output, code=of_rollback)


def status(
    endpoint: Annotated[str | None, typer.Argument(help="Default: all of them.")] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Default: all of them.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and follow it.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """What runs where, and what is going on."""
    with session.client() as slipway:
        if endpoint is None:
            _all_endpoints(slipway, environment, output)
            return
        found = slipway.endpoint(endpoint, environment or "staging")
        if watch:
            _watch(slipway, found, output)
            return
        rollout = _current(slipway, found)
    if output is Format.JSON:
        as_json(_whole(found, rollout))
    else:
        out.print(endpoint_view(found, rollout))


def _all_endpoints(slipway: Client, environment: str | None, output: Format) -> None:
    rows(
        output,
        slipway.endpoints(environment=environment),
        ("ENDPOINT", "ENVIRONMENT", "STATE", "TRAFFIC", ""),
        lambda e: (e.name, e.environment, e.state, _traffic(e), e.sentence),
        lambda e: e.raw,
        "Nothing is rolled out yet: slipway deploy MODEL -e staging",
    )


def _traffic(endpoint: Endpoint) -> str:
    return ", ".join(f"v{share['version']} {share['percent']} %" for share in endpoint.traffic)


def _current(slipway: Client, endpoint: Endpoint) -> Rollout | None:
    """The one under way, or the last one, which says how things came to be."""
    if endpoint.active_rollout:
        return slipway.rollout(endpoint.active_rollout)
    latest = slipway.rollouts(endpoint=endpoint.id, sort="-created_at", most=1)
    return next(latest, None)


def _whole(endpoint: Endpoint, rollout: Rollout | None) -> Json:
    return {**endpoint.raw, "rollout": rollout.raw if rollout else None}


def _watch(slipway: Client, endpoint: Endpoint, output: Format) -> None:
    """Until Ctrl-C, which is how it is meant to end."""
    with contextlib.suppress(KeyboardInterrupt):
        if output is Format.TABLE and out.is_terminal:
            _watch_screen(slipway, endpoint)
        else:
            _watch_lines(slipway, endpoint, output)


def _watch_screen(slipway: Client, endpoint: Endpoint) -> None:
    with Live(console=out, auto_refresh=False) as live:
        for now, rollout in _looks(slipway, endpoint):
            live.update(endpoint_view(now, rollout), refresh=True)


def _watch_lines(slipway: Client, endpoint: Endpoint, output: Format) -> None:
    """One line for each change, or one JSON object."""
    before = ""
    for now, rollout in _looks(slipway, endpoint):
        line = rollout_line(rollout) if rollout else f"{now.name} {now.state}: {now.sentence}"
        if (news := _without_countdown(line)) == before:
            continue
        before = news
        if output is Format.JSON:
            print(json.dumps(_whole(now, rollout)), flush=True)
        else:
            out.print(Text(line))


def _without_countdown(line: str) -> str:
    """A log that gets a line for each second of a bake hides what happened."""
    return re.sub(r"\d+ s left", "", line)


def _looks(slipway: Client, endpoint: Endpoint) -> Iterator[tuple[Endpoint, Rollout | None]]:
    while True:
        now = slipway.endpoint(endpoint.name, endpoint.environment)
        yield now, _current(slipway, now)
        time.sleep(_EVERY)


def _finish(
    slipway: Client,
    rollout: Rollout,
    *,
    wait: bool,
    timeout: float,
    output: Format,
    code: Callable[[Rollout], Exit] = of_rollout,
) -> None:
    if wait:
        rollout = _stay(slipway, rollout, timeout)
    if output is Format.JSON:
        as_json(rollout.raw)
    else:
        out.print(rollout_view(rollout))
    raise typer.Exit(code(rollout))


def _stay(slipway: Client, rollout: Rollout, timeout: float) -> Rollout:
    """What a person sees meanwhile goes to standard error; the answer stays alone on the other."""

    def over(now: Rollout) -> bool:
        return now.is_decided or now.is_done or now.waiting == "approval"

    if err.is_terminal:
        with Live(console=err, auto_refresh=False, transient=True) as live:
            return slipway.wait(
                rollout.id,
                timeout=timeout,
                until=over,
                seen=lambda now: live.update(rollout_view(now), refresh=True),
            )
    said: set[str] = set()

    def line(now: Rollout) -> None:
        text = rollout_line(now)
        if (news := _without_countdown(text)) not in said:
            said.add(news)
            err.print(Text(text))

    return slipway.wait(rollout.id, timeout=timeout, until=over, seen=line)


def logs(
    endpoint: str,
    environment: Environment = "staging",
    replica: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    lines: Annotated[int, typer.Option(min=1, max=2000, help="How many of the last.")] = 200,
    output: Output = Format.TABLE,
) -> None:
    """What its replicas said last."""
    with session.client() as slipway:
        found = slipway.endpoint(endpoint, environment)
        answer = slipway.logs(found.id, replica=replica, lines=lines)
    if output is Format.JSON:
        as_json(answer)
        return
    for entry in answer.get("items") or []:
        silent = "  (its host does not answer; these are older lines)" if entry["silent"] else ""
        out.print(Text(f"== {entry['replica']} on {entry['host']}{silent}", "bold"))
        out.print(Text(entry["text"] or "(nothing)"))


@rollouts.command("list")
def list_rollouts(
    environment: Annotated[str | None, typer.Option("--environment", "-e")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """The newest first."""
    with session.client() as slipway:
        rows(
            output,
            slipway.rollouts(environment=environment, model=model, sort="-created_at", most=most),
            ("ROLLOUT", "ENDPOINT", "ENVIRONMENT", "VERSIONS", "STATUS", ""),
            lambda r: (r.id, r.endpoint, r.environment, versions(r), r.badge, r.sentence),
            lambda r: r.raw,
            "There was no rollout yet: slipway deploy MODEL -e staging",
        )


@rollouts.command("show")
def show(rollout_id: str, output: Output = Format.TABLE) -> None:
    """One rollout, with its steps and its reason."""
    with session.client() as slipway:
        rollout = slipway.rollout(rollout_id)
    if output is Format.JSON:
        as_json(rollout.raw)
    else:
        out.print(rollout_view(rollout))
    raise typer.Exit(of_rollout(rollout))


def _verb(verb: str, explanation: str) -> None:
    def act(rollout_id: str, reason: Reason = "", output: Output = Format.TABLE) -> None:
        with session.client() as slipway:
            operation = slipway.act(rollout_id, verb, reason)
            rollout = slipway.rollout(rollout_id)
        if output is Format.JSON:
            as_json(operation.raw)
        else:
            out.print(rollout_view(rollout))

    rollouts.command(verb, help=explanation)(act)


_verb("pause", "Go no further until it is resumed.")
_verb("resume", "Go on.")
_verb("promote", "Skip the rest of the bake.")
_verb("abort", "Give up; the release before it keeps, or takes back, the traffic.")
