"""`slipway teams`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from cli import session
from cli.output import Format, Output, as_json, out, rows

teams = typer.Typer(help="Teams own models.", no_args_is_help=True)


@teams.command("list")
def list_teams(output: Output = Format.TABLE) -> None:
    """All teams that you may see."""
    with session.client() as slipway:
        rows(
            output,
            slipway.teams(),
            ("TEAM", "TITLE"),
            lambda team: (team["name"], team.get("title")),
            lambda team: team,
            "There is no team that you may see: slipway teams create NAME",
        )


@teams.command("create")
def create_team(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    title: Annotated[str, typer.Option(help="What people read; default: the name.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """A new team. Organisation admins may do this."""
    with session.client() as slipway:
        created = slipway.create_team(name, title)
    if output is Format.JSON:
        as_json(created)
        return
    out.print(Text(f"team {created['name']} ({created['title']})"))
    out.print(Text(f"next: slipway push FILE --model NAME --team {created['name']}"))
