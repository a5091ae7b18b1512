"""`slipway`: everything that a browser can do, and scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from cli.commands import account, hosts, images, keys, predict, registry, rollouts, teams
from cli.errors import SlipwayError, TimedOut
from cli.exits import Exit
from cli.output import error

app = typer.Typer(
    help="Roll out AI models without losing a request, and see what they do.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command()(account.login)
app.command()(registry.push)
app.command()(rollouts.deploy)
app.command()(rollouts.status)
app.command()(rollouts.rollback)
app.command()(rollouts.logs)
app.command()(predict.predict)
app.command()(account.doctor)
app.command()(images.gc)
app.add_typer(teams.teams, name="teams")
app.add_typer(registry.models, name="models")
app.add_typer(registry.versions, name="versions")
app.add_typer(rollouts.rollouts, name="rollouts")
app.add_typer(hosts.host, name="host")
app.add_typer(images.build, name="build")
app.add_typer(keys.endpoints, name="endpoints")
app.add_typer(keys.keys, name="keys")


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code. Usage errors are Typer's own: it prints them and exits with 2."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="slipway")
    except TimedOut as problem:
        error(problem)
        return Exit.TIMEOUT
    except SlipwayError as problem:
        error(problem)
        return Exit.ERROR
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK
    return Exit.OK


def main() -> None:
    sys.exit(run())


if __name__ == "__main__":
    main()
