"""`python -m demo [--check]`: start Slipway, tell the story, stay until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import docker
import psutil
from rich.live import Live
from rich.text import Text

from cli import Client, SlipwayError
from cli.config import Session, keep_key, save
from demo import telling
from demo.programs import Slipway, StoryBroke
from demo.story import ENVIRONMENT, MODEL, Story

_PAGE_WITHIN = 60.0
_READY_WITHIN = 60.0
_KINDS = {"process": "process", "docker": "process and no container"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="tell it, stop, exit 0 if it held")
    parser.add_argument("--host", choices=("process", "docker"), default="process")
    given = parser.parse_args()
    check: bool = given.check
    signal.signal(signal.SIGTERM, _as_interrupt)
    home = Path(os.environ.get("SLIPWAY_HOME") or "var").expanduser().resolve() / "demo"
    slipway = Slipway(home, host=given.host)
    held = False
    try:
        held = _run(slipway, home, check=check)
    except KeyboardInterrupt:
        held = not check
    except (StoryBroke, SlipwayError) as problem:
        telling.broke(f"{problem}")
    finally:
        # A second Ctrl-C must not stop the stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        slipway.end()
    left = [*_left_over(home), *_containers(home)] if slipway.started else []
    if left:
        telling.broke(f"left running: {', '.join(left)}")
    elif held:
        telling.done(f"everything has ended; no {_KINDS[given.host]} is left")
    return 0 if held and not left else 1


def _run(slipway: Slipway, home: Path, *, check: bool) -> bool:
    link = slipway.wait_for("link", telling.event, within=_PAGE_WITHIN)
    ready = slipway.wait_for("ready", telling.event, within=_READY_WITHIN)
    with Client(ready["web_url"], link["token"]) as client:
        story = Story(client, ready["gateways"][ENVIRONMENT], home)
        try:
            story.tell()
            telling.summary(story.rollouts, story.traffic.now() if story.traffic else {})
            lines = _lines(story, ready["web_url"], link["token"])
            _print_lines(lines, ready["web_url"])
            if check:
                _try_lines(lines)
            else:
                _stay(story, slipway)
        finally:
            total = story.traffic.total() if story.traffic else {"failed": 0, "sent": 0}
    if total["failed"] or total["sent"] != total.get("ok"):
        raise StoryBroke(f"{total['failed']} of {total['sent']} requests failed: {total}")
    telling.done(f"{total['sent']} requests sent, {total['ok']} answered with 200, 0 failed")
    return True


def _lines(story: Story, web_url: str, token: str) -> tuple[str, str]:
    """A `curl` and a `slipway` that work as printed, from this folder."""
    config = story.home / "slipway.json"
    session, environ = Session(web_url, token), {"SLIPWAY_CONFIG": str(config)}
    save(session, environ)
    keep_key(session, ENVIRONMENT, [MODEL], story.key_file.read_text(), environ)
    row = shlex.quote(_short(story.row_file))
    key = shlex.quote(f"@{_short(story.key_header_file)}")
    curl = f"curl -sS {story.infer_url} -H {key} -H content-type:application/json -d @{row}"
    program = shlex.quote(_short(Path(sys.executable).with_name("slipway")))
    slipway = (
        f"SLIPWAY_CONFIG={shlex.quote(_short(config))} {program} status {MODEL} -e {ENVIRONMENT}"
    )
    return curl, slipway


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _print_lines(lines: tuple[str, str], web_url: str) -> None:
    telling.chapter("Try it yourself")
    for line in lines:
        telling.console.print(Text(f"  {line}"))
    telling.note(f"pages: {web_url}    API: {web_url}/api/v1/docs")


def _try_lines(lines: tuple[str, str]) -> None:
    for line in lines:
        if line.startswith("curl") and not shutil.which("curl"):
            continue
        tried = subprocess.run(  # noqa: S602 - exactly what a person would paste
            line, shell=True, capture_output=True, text=True, timeout=30, check=False
        )
        if tried.returncode != 0 or "error" in tried.stdout:
            raise StoryBroke(f"this line does not work: {line}: {tried.stdout}{tried.stderr}")
    telling.done("both lines work as printed")


def _stay(story: Story, slipway: Slipway) -> None:
    telling.console.print()
    if story.traffic is None:
        return
    screen = Live(console=telling.console, auto_refresh=False, transient=True)
    with contextlib.suppress(KeyboardInterrupt), screen as live:
        while True:
            now = story.traffic.now()
            text = (
                f"  traffic goes on: {now['sent']} sent, {now['failed']} failed,"
                f" p99 {now['p99_ms']} ms    Ctrl-C ends everything"
            )
            live.update(Text(text), refresh=telling.console.is_terminal)
            for event in slipway.news():
                telling.event(event)
            time.sleep(0.5)


def _left_over(home: Path) -> list[str]:
    """Whatever still runs with this home in its command or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            mine = process.environ().get("SLIPWAY_HOME") == str(home)
            if mine or any(word.startswith(f"{home}/") for word in words):
                found.append(f"{process.name()} (pid {process.pid})")
        except psutil.Error:
            continue
    return found


def _containers(home: Path) -> list[str]:
    """Whatever the Engine of this machine still has of this home's, running or ended."""
    name = home / "installation"
    if not (home / "run" / "engine").exists() or not name.exists():
        return []
    label = f"slipway.owner={name.read_text().strip()}"
    with contextlib.closing(docker.DockerClient(os.environ.get("DOCKER_HOST"))) as engine:
        found = engine.containers.list(all=True, filters={"label": label})
        return [f"the container {container.name}" for container in found]


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
