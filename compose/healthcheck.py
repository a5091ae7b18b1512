"""What Docker asks a container of the control plane: is this program well?

    python -m compose.healthcheck web                 web answers that it is ready
    python -m compose.healthcheck program worker      the worker has shown a sign of life lately
    python -m compose.healthcheck gateway PORT        this gateway answers

Exit code 0 is well. Certificates are not looked at: it asks its own container.
"""

from __future__ import annotations

import ssl
import sys
import urllib.error
import urllib.request

SILENCE_SECONDS = 60.0


def main(words: list[str]) -> int:
    match words:
        case ["web"]:
            return _answers("https://127.0.0.1:8000/readyz")
        case ["gateway", port]:
            return _answers(f"https://127.0.0.1:{port}/v2/health/live")
        case ["program", name]:
            return _lives(name)
    _say(__doc__ or "")
    return 2


def _answers(url: str) -> int:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:  # noqa: S310
            return 0 if answer.status == 200 else 1
    except urllib.error.HTTPError as problem:
        _say(problem.read().decode(errors="replace"))
    except OSError as problem:
        _say(str(problem))
    return 1


def _lives(name: str) -> int:
    # Settings only: loading all of Django takes seconds, and nobody asks the database here.
    from core import heartbeat  # noqa: PLC0415 - the others do without Django

    silent = heartbeat.seconds_since(name)
    _say(f"{name}: {'no sign of life' if silent is None else f'{silent:.0f} s ago'}")
    return 0 if silent is not None and silent < SILENCE_SECONDS else 1


def _say(text: str) -> None:
    """Docker keeps it and shows it with `docker inspect`."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
