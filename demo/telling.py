"""How the story is told on a terminal, or in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli import Rollout

console = Console(highlight=False, soft_wrap=True)


def event(happened: dict[str, Any]) -> None:
    """What the supervisor says, while it starts."""
    match happened["event"]:
        case "step":
            done(f"{happened['text']}", happened.get("seconds"))
        case "link":
            console.print()
            console.print(Text("→ open ", "bold") + Text(str(happened["url"]), "bold cyan"))
            text = f"  one-time login link; page usable after {happened['seconds']} s"
            console.print(Text(text, "dim"))
            if happened.get("password"):
                who = f"{happened['username']} / {happened['password']}"
                console.print(Text(f"  or sign in at {happened['address']} as {who}", "dim"))
            console.print()
        case "restart":
            console.print(Text(f"! {happened['program']} ended and starts again", "yellow"))


def done(text: str, seconds: float | None = None) -> None:
    took = f"{seconds:6.1f} s" if seconds is not None else ""
    console.print(Text("✔ ", "green") + Text(f"{text:<72}{took}", "default"))


def chapter(text: str) -> None:
    console.print()
    console.print(Text(text, "bold"))


def note(text: str) -> None:
    console.print(Text(f"  {text}"))


def broke(text: str) -> None:
    console.print(Text("✘ ", "bold red") + Text(text, "default"))


@contextmanager
def following() -> Iterator[Any]:
    """Shows a rollout's sentence as it changes: in place on a terminal, else a line for each."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda r: live.update(
                Text(f"  … {r.badge}: {short(r.sentence)}", "dim"), refresh=True
            )
        return
    last = [""]

    def line(rollout: Rollout) -> None:
        if rollout.sentence != last[0]:
            last[0] = rollout.sentence
            note(f"… {rollout.badge}: {short(rollout.sentence)}")

    yield line


def summary(rollouts: list[tuple[str, Rollout]], traffic: dict[str, Any]) -> None:
    console.print()
    table = Table(title="What happened", title_justify="left", title_style="bold")
    for name in ("rollout", "ended", "switched at", "start → all traffic", "gateway acknowledged"):
        table.add_column(name)
    for name, rollout in rollouts:
        table.add_row(
            name,
            Text(rollout.badge, "green" if rollout.succeeded else "red"),
            clock(rollout.timings.get("switched_at")),
            span(rollout.timings, "created_at", "switch_acknowledged_at"),
            ", ".join(f"{gateway['acknowledged_ms']} ms" for gateway in acknowledged(rollout)),
        )
    console.print(table)
    failed = traffic["failed"]
    console.print(
        Text(f"  requests sent {traffic['sent']}   ", "default")
        + Text(f"failed {failed}", "green" if failed == 0 else "bold red")
        + Text(f"   p50 {traffic.get('p50_ms')} ms   p99 {traffic.get('p99_ms')} ms", "default")
    )
    if failed:
        console.print(Text(f"  {traffic['failures']}", "red"))


def short(text: str, most: int = 150) -> str:
    """A reason may quote a whole stack of errors; the page shows all of it."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def acknowledged(rollout: Rollout) -> list[dict[str, Any]]:
    return [gateway for gateway in rollout.gateways if gateway.get("acknowledged_ms") is not None]


def clock(stamp: str | None) -> str:
    if not stamp:
        return "never"
    return datetime.fromisoformat(stamp).astimezone().strftime("%H:%M:%S.%f")[:-3]


def span(timings: Any, first: str, last: str) -> str:
    if not timings.get(first) or not timings.get(last):
        return "–"
    took = datetime.fromisoformat(timings[last]) - datetime.fromisoformat(timings[first])
    return f"{took.total_seconds():.2f} s"
