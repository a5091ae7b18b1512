"""`slipway keys …`, and `slipway endpoints open` and `close`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from cli import config, session
from cli.client import Client
from cli.output import Format, Output, as_json, err, out, rows
from cli.shapes import Endpoint, Key

keys = typer.Typer(help="With which clients may ask endpoints.", no_args_is_help=True)
endpoints = typer.Typer(help="Who needs a key, and who does not.", no_args_is_help=True)

Environment = Annotated[str, typer.Option("--environment", "-e", help="staging or production.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the record.")]
Days = Annotated[
    int | None, typer.Option("--expires-in-days", min=1, help="Default 90, at most 365.")
]
Wait = Annotated[bool, typer.Option(help="Stay until every gateway knows it.")]
Save = Annotated[
    bool, typer.Option("--save", help="Keep it here, for `slipway predict`; only you can read it.")
]
_PER_MINUTE = "Of one client at one endpoint and gateway. 0: no limit."
_PER_DAY = "At each endpoint, from midnight to midnight UTC. 0: no limit."
_WAIT_SECONDS = 30.0


@keys.command("issue")
def issue(
    name: Annotated[str, typer.Argument(help="What people call it: the client it is for.")],
    endpoint: Annotated[list[str], typer.Option("--endpoint", help="Which it may ask; repeat it.")],
    environment: Environment = "staging",
    expires_in_days: Days = None,
    requests_per_minute: Annotated[int, typer.Option(min=0, help=_PER_MINUTE)] = 0,
    requests_per_day: Annotated[int, typer.Option(min=0, help=_PER_DAY)] = 0,
    save: Save = False,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """A new key. Standard output gets the key alone, which is never shown again."""
    with session.client() as slipway:
        key = slipway.issue_key(
            name,
            *endpoint,
            environment=environment,
            expires_in_days=expires_in_days,
            requests_per_minute=requests_per_minute or None,
            requests_per_day=requests_per_day or None,
        )
        _hand_over(slipway, key, save=save, wait=wait, output=output)


@keys.command("list")
def list_keys(
    environment: Annotated[str | None, typer.Option("--environment", "-e")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only of this one; needs -e.")] = None,
    state: Annotated[
        str | None, typer.Option(help="active, expiring, exhausted, expired, revoked.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """The newest first, with what they have used today."""
    with session.client() as slipway:
        found = slipway.endpoint(endpoint, environment or "staging").id if endpoint else None
        rows(
            output,
            slipway.keys(environment=environment, endpoint=found, state=state),
            ("KEY", "NAME", "ENVIRONMENT", "STATE", "USED TODAY", "EXPIRES"),
            lambda k: (k.id, k.name, k.environment, k.state, _used(k), _moment(k.expires_at)),
            lambda k: k.raw,
            "There is no key: slipway keys issue NAME --endpoint ENDPOINT -e staging",
        )


@keys.command("show")
def show(key_id: str, output: Output = Format.TABLE) -> None:
    """One key: where it counts, its limits, and what it has used."""
    with session.client() as slipway:
        _print(slipway.key(key_id), output)


@keys.command("edit")
def edit(
    key_id: str,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option("--endpoint", help="All that it may ask from now on.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=0, help=_PER_MINUTE)] = None,
    requests_per_day: Annotated[int | None, typer.Option(min=0, help=_PER_DAY)] = None,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Change its name, its endpoints or its limits; the client keeps the key it has."""
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = name
    if endpoint:
        changes["endpoints"] = endpoint
    if requests_per_minute is not None:
        changes["requests_per_minute"] = requests_per_minute or None
    if requests_per_day is not None:
        changes["requests_per_day"] = requests_per_day or None
    if not changes:
        raise typer.BadParameter("say what to change: --name, --endpoint or a limit")
    with session.client() as slipway:
        key = slipway.edit_key(key_id, **changes)
        _print(_known(slipway, key, wait=wait), output)


@keys.command("rotate")
def rotate(
    key_id: str,
    overlap_hours: Annotated[
        float | None, typer.Option(min=0, help="How long the old one still counts; default 24.")
    ] = None,
    expires_in_days: Days = None,
    save: Save = False,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """A new key like this one, which ends after the overlap."""
    with session.client() as slipway:
        key = slipway.rotate_key(
            key_id, overlap_hours=overlap_hours, expires_in_days=expires_in_days
        )
        _hand_over(slipway, key, save=save, wait=wait, output=output)


@keys.command("revoke")
def revoke(key_id: str, wait: Wait = True, output: Output = Format.TABLE) -> None:
    """Shut its client out, for good."""
    with session.client() as slipway:
        key = slipway.revoke_key(key_id)
        _print(_known(slipway, key, wait=wait), output)


@endpoints.command("open")
def open_(
    endpoint: str,
    environment: Environment = "staging",
    reason: Reason = "",
    output: Output = Format.TABLE,
) -> None:
    """Let everybody ask it who reaches its gateway, without a key."""
    with session.client() as slipway:
        found = slipway.endpoint(endpoint, environment)
        _say(slipway.open_endpoint(found.id, reason), output)


@endpoints.command("close")
def close(
    endpoint: str,
    environment: Environment = "staging",
    reason: Reason = "",
    output: Output = Format.TABLE,
) -> None:
    """Ask everybody for a key again."""
    with session.client() as slipway:
        found = slipway.endpoint(endpoint, environment)
        _say(slipway.close_endpoint(found.id, reason), output)


def _hand_over(slipway: Client, key: Key, *, save: bool, wait: bool, output: Format) -> None:
    """Whatever goes wrong afterwards: what is shown once has been shown."""
    if output is Format.JSON:
        as_json(key.raw)
    else:
        out.print(Text(key.text))
        where = ", ".join(key.endpoints)
        until = _moment(key.expires_at)
        err.print(Text(f"{key.id} for {where} in {key.environment}, until {until}."))
        err.print(Text("Keep the key now: it is not shown again."))
    if save:
        kept = config.keep_key(config.load(), key.environment, key.endpoints, key.text)
        err.print(Text(f"Kept in {kept}."))
    _known(slipway, key, wait=wait)


def _known(slipway: Client, key: Key, *, wait: bool) -> Key:
    return slipway.wait_for_key(key.id, timeout=_WAIT_SECONDS) if wait else key


def _print(key: Key, output: Format) -> None:
    if output is Format.JSON:
        as_json(key.raw)
        return
    known = "every gateway knows it" if key.acknowledged else "not every gateway knows it yet"
    out.print(Text(f"{key.name}  {key.id}  {key.state}", "bold"))
    out.print(Text(f"  in {key.environment}, until {_moment(key.expires_at)}; {known}"))
    out.print(Text(f"  used today: {_used(key)}"))
    if key.requests_per_minute:
        out.print(Text(f"  {key.requests_per_minute} requests per minute"))
    if key.rotated_to:
        out.print(Text(f"  replaced by {key.rotated_to}"))


def _moment(text: str) -> str:
    """To the minute; who wants it exactly takes the JSON."""
    return f"{text[:16].replace('T', ' ')} UTC"


def _used(key: Key) -> str:
    limit = f" of {key.requests_per_day}" if key.requests_per_day else ""
    return ", ".join(f"{use['endpoint']} {use['requests_today']}{limit}" for use in key.usage)


def _say(endpoint: Endpoint, output: Format) -> None:
    if output is Format.JSON:
        as_json(endpoint.raw)
        return
    who = "open: nobody needs a key" if endpoint.is_open else "closed: clients need a key"
    out.print(Text(f"{endpoint.name} in {endpoint.environment} is {who}"))
