"""`slipway login` and `slipway doctor`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from cli import config, session
from cli.errors import SlipwayError
from cli.exits import Exit
from cli.output import Format, Output, as_json, out


def login(
    url: Annotated[str, typer.Argument(help="Where Slipway is.")] = "http://127.0.0.1:8000",
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input.")
    ] = False,
) -> None:
    """Remember where Slipway is and a token for it, after trying them."""
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url} is no address; it begins with http:// or https://")
    if token_stdin:
        token = sys.stdin.readline().strip()
    else:
        token = typer.prompt(
            f"Token (made at {url.rstrip('/')}/settings/tokens)", hide_input=True
        ).strip()
    if not token:
        raise typer.BadParameter("no token was given")
    with session.make(url, token) as slipway:
        who = slipway.me()
    target = config.save(config.Session(url.rstrip("/"), token))
    out.print(Text(f"Logged in to {url.rstrip('/')} as {who.get('username')}; kept in {target}."))


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    ok: bool
    said: str
    help: str = ""


def doctor(output: Output = Format.TABLE) -> None:
    """Look at everything between here and a prediction, and say what to do where it breaks."""
    findings = list(_findings())
    if output is Format.JSON:
        as_json({"items": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = Text("✔ ", "green") if finding.ok else Text("✘ ", "red")
            out.print(mark + Text(f"{finding.what}: {finding.said}", "default"))
            if finding.help:
                out.print(Text(f"  {finding.help}"))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(Exit.ERROR)


def _findings() -> list[Finding]:
    try:
        known = config.load()
    except SlipwayError as problem:
        return [Finding("configuration", False, str(problem), problem.help)]
    found = [Finding("configuration", True, known.url)]
    with session.make(known.url, known.token) as slipway:
        for look in (_health, _account, _gateways, _hosts):
            found += _try(look, slipway)
            if not found[-1].ok and look is _health:
                break
    return found


def _try(look: Callable[[Any], list[Finding]], slipway: Any) -> list[Finding]:
    try:
        return look(slipway)
    except SlipwayError as problem:
        name = look.__name__.strip("_")
        return [Finding(name, False, str(problem), problem.help)]


def _health(slipway: Any) -> list[Finding]:
    """`/readyz` names each dependency with a hint; which ones there are is its business."""
    body = slipway.health()
    checks = body.get("checks") or body.get("dependencies") or {}
    if isinstance(checks, dict):
        checks = [{"name": name, **check} for name, check in checks.items()]
    findings = []
    for check in checks:
        ok = bool(check.get("ok", check.get("status") in ("ok", "up", "pass")))
        latency = check.get("latency_ms")
        said = "ok" if ok else str(check.get("error") or check.get("detail") or "not ok")
        timed = f" ({latency} ms)" if latency is not None else ""
        findings.append(
            Finding(str(check.get("name")), ok, said + timed, "" if ok else check.get("hint") or "")
        )
    return findings or [Finding("web", True, "answers")]


def _account(slipway: Any) -> list[Finding]:
    who = slipway.me()
    roles = ", ".join(str(role.get("role")) for role in who.get("roles") or []) or "no role"
    return [Finding("account", True, f"{who.get('username')} ({roles})")]


def _gateways(slipway: Any) -> list[Finding]:
    return [_part("gateway", item) for item in slipway.items("/gateways")] or [
        Finding("gateways", False, "none is registered", "Without one nothing can be rolled out.")
    ]


def _hosts(slipway: Any) -> list[Finding]:
    return [_part("host", item) for item in slipway.items("/hosts")] or [
        Finding("hosts", False, "none is registered", "Without one no replica can start.")
    ]


def _part(kind: str, item: dict[str, Any]) -> Finding:
    state = str(item.get("state") or "unknown")
    # A host is "unknown" until the first rollout looks at it, which is no fault.
    return Finding(
        f"{kind} {item.get('name')}",
        state != "silent",
        state,
        str(item.get("last_error") or "") if state == "silent" else "",
    )
