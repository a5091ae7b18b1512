"""`python -m controlplane.supervisor up [--foreground] [--json] [--until-eof] | down | status`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time

from controlplane.supervisor import config as configuration
from controlplane.supervisor import containers, leftovers
from controlplane.supervisor.config import StackConfig
from controlplane.supervisor.errors import CannotStart
from controlplane.supervisor.lock import Holder, HomeLock
from controlplane.supervisor.reporter import Reporter, sentence
from controlplane.supervisor.stack import Stack
from controlplane.supervisor.tied import reader_of

_STOP_LIMIT = 45.0


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        config = configuration.from_environment(host=getattr(options, "host", "process"))
        match options.verb:
            case "up" if options.foreground:
                return _up(config, options)
            case "up":
                return _up_in_background(config, options.host)
            case "down":
                return _down(config)
            case _:
                return _status(config)
    except CannotStart as problem:
        if options.verb == "up" and options.json:
            Reporter(as_json=True).say("failed", text=str(problem))
        else:
            print(problem, file=sys.stderr)
        return 1


def _up(config: StackConfig, options: argparse.Namespace) -> int:
    keep_on = reader_of(sys.stdin) if options.until_eof else (lambda: True)
    reporter = Reporter(as_json=options.json)
    return Stack(config, reporter, keep_on=keep_on, fresh=options.fresh).run()


def _up_in_background(config: StackConfig, host: str) -> int:
    """Start a supervisor of its own session and pass on what it says until everything runs."""
    command = [sys.executable, "-m", "controlplane.supervisor", "up", "--foreground", "--json"]
    command += ["--host", host]
    supervisor = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    if supervisor.stdout is None:
        raise RuntimeError("a pipe was asked for")
    try:
        for line in supervisor.stdout:
            event = json.loads(line) if line.startswith("{") else {"event": "said", "text": line}
            if event["event"] == "failed":
                raise CannotStart(event["text"])
            if event["event"] == "ready":
                print(f"  everything runs after {event['seconds']} s; stop it with make down")
                return 0
            print(sentence(event).rstrip(), flush=True)
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        return 130
    return supervisor.wait() or 1


def _down(config: StackConfig) -> int:
    lock = HomeLock(config.run)
    holder = lock.holder()
    if holder is None:
        ended = leftovers.end(config.home) + containers.end(config.home)
        print(
            f"Slipway does not run in {config.home}."
            + (f" Ended {ended} leftovers." if ended else "")
        )
        return 0
    began = time.monotonic()
    _end(lock, holder)
    leftovers.end(config.home)
    containers.end(config.home)
    print(f"Slipway in {config.home} has stopped ({time.monotonic() - began:.1f} s).")
    return 0


def _end(lock: HomeLock, holder: Holder) -> None:
    """SIGTERM, and SIGKILL to a supervisor that does not manage it; its children follow it."""
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_LIMIT
    while (current := lock.holder()) and current.pid == holder.pid:
        if time.monotonic() > deadline:
            os.kill(holder.pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _status(config: StackConfig) -> int:
    holder = HomeLock(config.run).holder()
    if holder is None:
        print(f"Slipway does not run in {config.home}: make up starts it.")
        return 1
    print(f"Slipway runs in {config.home}: {holder.web_url} (supervisor {holder.pid})")
    try:
        state = json.loads((config.run / "state.json").read_text())
    except (OSError, ValueError):
        print("  it is starting or stopping")
        return 0
    for name, program in state["programs"].items():
        running = f"pid {program['pid']}" if program["pid"] else "about to start again"
        print(f"  {name:<20} {running:<22} {program['restarts']} restarts   {program['log']}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m controlplane.supervisor", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start Slipway")
    up.add_argument("--foreground", action="store_true", help="stay; Ctrl-C stops everything")
    up.add_argument("--json", action="store_true", help="say what happens as JSON lines")
    up.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    up.add_argument("--fresh", action="store_true", help="wipe a home made so before (demo)")
    up.add_argument(
        "--host",
        choices=("process", "docker"),
        default="process",
        help="what replicas are here: processes, or containers on this machine's Docker Engine",
    )
    verbs.add_parser("down", help="stop it")
    verbs.add_parser("status", help="what runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
