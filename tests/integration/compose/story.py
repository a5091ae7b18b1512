"""Run inside a container of the deployment: the story of part 1, over its own names and TLS.

    python story.py TOKEN_FILE PUBLISH_ADDRESS

Prints one JSON object at the end: what an independent client counted, and how each rollout ended.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import httpx

from cli import Client, trust
from demo.story import Story

WEB = "https://web:8000"
GATEWAY = "https://gateway-staging:8443"


def add_engine(token: str, publish_address: str) -> str:
    """The machine's own Engine as a host of staging; its id."""
    answer = httpx.post(
        f"{WEB}/api/v1/hosts",
        json={
            "environment": "staging",
            "name": "engine",
            "kind": "docker",
            "address": "unix:///var/run/docker.sock",
            "publish_address": publish_address,
        },
        headers={"authorization": f"Bearer {token}", "idempotency-key": "compose-story"},
        verify=trust.context(),
        timeout=60,
    )
    if answer.status_code != 201:
        raise SystemExit(f"the host was not added: {answer.status_code} {answer.text}")
    return str(answer.json()["id"])


def main() -> int:
    token, publish_address = Path(sys.argv[1]).read_text().strip(), sys.argv[2]
    with tempfile.TemporaryDirectory() as home, Client(WEB, token) as client:
        host = add_engine(token, publish_address)
        story = Story(client, GATEWAY, Path(home))
        try:
            story.tell()
        finally:
            total = story.traffic.total() if story.traffic else {}
        ended = {name: rollout.badge for name, rollout in story.rollouts}
    sys.stdout.write(json.dumps({"traffic": total, "rollouts": ended, "host": host}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
