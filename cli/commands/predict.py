"""`slipway predict`: one inference at a gateway, as a client would send it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import config, session
from cli.client import Client
from cli.errors import SlipwayError
from cli.output import as_json
from cli.shapes import Endpoint, Json


def predict(
    endpoint: str,
    environment: Annotated[
        str, typer.Option("--environment", "-e", help="staging or production.")
    ] = "staging",
    data: Annotated[
        str, typer.Option("--data", "-d", help="A request as a JSON file, or `-`; default: sample.")
    ] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="Holds the endpoint key; see SLIPWAY_ENDPOINT_KEY.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Certificates to trust, of a gateway with its own.")
    ] = None,
) -> None:
    """Ask an endpoint once, and print the answer. Without data it is asked the version's sample."""
    known = config.load()
    body = _read(data) if data else None
    key = _text(key_file) if key_file else config.key_for(known, environment, endpoint)
    with session.client() as slipway:
        found = slipway.endpoint(endpoint, environment)
        if body is None:
            body = _sample(slipway, found)
        as_json(slipway.predict(found, body, key=key, ca_file=ca_file))


def _sample(slipway: Client, endpoint: Endpoint) -> Json:
    """One request that intake has run; every version has one."""
    if endpoint.stable_version is None:
        raise SlipwayError(f"Nothing is live at {endpoint.name} in {endpoint.environment}.")
    version = slipway.version(endpoint.raw["model"], endpoint.stable_version)
    sample: Json = version.raw["sample"]
    return sample


def _read(source: str) -> Json:
    text = sys.stdin.read() if source == "-" else _text(Path(source))
    try:
        body = json.loads(text)
    except ValueError as problem:
        raise typer.BadParameter(f"{source} is not JSON: {problem}") from None
    if not isinstance(body, dict):
        raise typer.BadParameter(f"{source} is JSON, and no object")
    return body


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(f"{path} cannot be read: {problem}") from None
