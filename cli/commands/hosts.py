"""`slipway host …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli import session
from cli.client import Client
from cli.errors import SlipwayError
from cli.output import Format, Output, as_json, err, out, rows
from cli.shapes import Host

host = typer.Typer(help="Where replicas run.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="HOST", help="Its name or its id.")]
Environment = Annotated[str, typer.Option("--environment", "-e", help="staging or production.")]
Capacity = Annotated[int | None, typer.Option(min=1, help="How many replicas it may run.")]
Publish = Annotated[
    str | None, typer.Option(help="Its IP address for the ports of replicas; gateways reach it.")
]
_PEM = {"exists": True, "dir_okay": False, "readable": True}
TlsCa = Annotated[Path | None, typer.Option(help="ca.pem: who signed for the Engine.", **_PEM)]
TlsCert = Annotated[Path | None, typer.Option(help="cert.pem: what it accepts.", **_PEM)]
TlsKey = Annotated[Path | None, typer.Option(help="key.pem: the key of that.", **_PEM)]
_ROOT = (
    "Whoever may add a host, and whoever holds its Engine, is root on its machine: give it nothing"
    " else to do."
)


@host.command("list")
def list_hosts(output: Output = Format.TABLE) -> None:
    """Those that you may see, with how much room they have."""
    with session.client() as slipway:
        rows(
            output,
            slipway.hosts(),
            ("HOST", "ENVIRONMENT", "KIND", "STATE", "REPLICAS", "ENGINE", "ADDRESS", ""),
            lambda h: (
                h.name,
                h.environment,
                h.kind,
                h.state,
                f"{h.replicas}/{h.capacity}",
                h.engine_version,
                h.address,
                h.last_error,
            ),
            lambda h: h.raw,
            "There is no host: slipway host add NAME unix:///var/run/docker.sock -e staging",
        )


@host.command("show")
def show(name: Which, environment: Environment = "staging", output: Output = Format.TABLE) -> None:
    """One host: its Engine, where its ports are, what was wrong last."""
    with session.client() as slipway:
        _print(_found(slipway, name, environment), output)


@host.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Small letters, digits and -.")],
    address: Annotated[
        str, typer.Argument(help="unix:///path, tcp://host:port or ssh://user@host.")
    ],
    environment: Environment = "staging",
    publish_address: Publish = None,
    capacity: Capacity = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    output: Output = Format.TABLE,
) -> None:
    """A Docker host, whose Engine is asked before it is kept."""
    how = _given(publish_address, capacity, tls_ca, tls_cert, tls_key)
    err.print(Text(_ROOT, "yellow"))
    with session.client() as slipway:
        made = slipway.add_host(
            name, environment=environment, kind="docker", address=address, **how
        )
        _print(made, output)


@host.command("edit")
def edit(
    name: Which,
    environment: Environment = "staging",
    publish_address: Publish = None,
    capacity: Capacity = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Change what is given; what runs stays where it is."""
    changes = _given(publish_address, capacity, tls_ca, tls_cert, tls_key)
    if not changes:
        raise typer.BadParameter("say what to change: --capacity, --publish-address or --tls-…")
    with session.client() as slipway:
        found = _found(slipway, name, environment)
        _print(slipway.edit_host(found.id, **changes), output)


@host.command("replace-replicas")
def replace_replicas(
    name: Which,
    environment: Environment = "staging",
    reason: Annotated[str, typer.Option(help="Why; it is kept in the record.")] = "",
) -> None:
    """Give up what a silent host runs. What is left of it is ended when the host comes back."""
    with session.client() as slipway:
        found = _found(slipway, name, environment)
        count = slipway.replace_replicas(found.id, reason)
    out.print(Text(f"{count} replica(s) of {found.name} are replaced elsewhere"))


@host.command("remove")
def remove(name: Which, environment: Environment = "staging") -> None:
    """Forget a host on which nothing runs."""
    with session.client() as slipway:
        found = _found(slipway, name, environment)
        slipway.remove_host(found.id)
    out.print(Text(f"{found.name} is removed from {found.environment}"))


def _given(
    publish_address: str | None,
    capacity: int | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
) -> dict[str, Any]:
    given: dict[str, Any] = {"publish_address": publish_address, "capacity": capacity}
    files = {"authority": ca, "certificate": cert, "key": key}
    if any(files.values()):
        if not all(files.values()):
            raise typer.BadParameter("--tls-ca, --tls-cert and --tls-key come together")
        given["tls"] = {field: path.read_text() for field, path in files.items() if path}
    return {field: value for field, value in given.items() if value is not None}


def _found(slipway: Client, name: str, environment: str) -> Host:
    if name.startswith("hst_"):
        return slipway.host(name)
    for each in slipway.hosts():
        if (each.name, each.environment) == (name, environment):
            return each
    raise SlipwayError(f"There is no host {name!r} in {environment}; `slipway host list`.")


def _print(found: Host, output: Format) -> None:
    if output is Format.JSON:
        as_json(found.raw)
        return
    out.print(Text(f"{found.name} in {found.environment}, {found.kind}: {found.state}", "bold"))
    if found.engine_version:
        out.print(Text(f"  Engine {found.engine_version} at {found.address}"))
        out.print(Text(f"  ports are published on {found.publish_address}"))
    out.print(Text(f"  {found.replicas} of {found.capacity} replicas, room for {found.free}"))
    if found.last_error:
        out.print(Text(f"  {found.last_error}", "yellow"))
    if found.kind == "docker" and not found.has_base_image:
        out.print(Text("  it lacks the base image: make base-image, or pull it there", "yellow"))
