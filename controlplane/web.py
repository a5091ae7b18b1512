"""`python -m controlplane.web --listen 0.0.0.0:8000`: pages, API, websockets and xDS under uvicorn.

Over TLS wherever `controlplane.tls` says so.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from controlplane.tls import Shown

# Held xDS polls and websockets would otherwise keep a stopping web alive.
_STOP_SECONDS = 2
# uvicorn ticks every 0.1 s.
_TICKS_BETWEEN_LOOKS = 50


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until it is told to stop."""
    host, port = _parser().parse_args(argv).listen
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    from django.conf import settings  # noqa: PLC0415 - a wrong command line needs no settings

    from controlplane import tls  # noqa: PLC0415

    shown = tls.of_web(settings.CONFIG, settings.AUTHORITY)
    config = uvicorn.Config(
        "controlplane.asgi:application",
        host=host,
        port=port,
        timeout_graceful_shutdown=_STOP_SECONDS,
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="off",
        # Django itself decides which proxies it believes.
        proxy_headers=False,
        ssl_context_factory=(lambda *_: shown.context) if shown else None,
    )
    server = _Server(config, shown)
    server.run()
    if not server.started:
        sys.exit(1)


class _Server(uvicorn.Server):
    """uvicorn, and a look at the certificate now and then: in the thread that does the handshakes,
    because OpenSSL does not allow it from another."""

    def __init__(self, config: uvicorn.Config, shown: Shown | None) -> None:
        super().__init__(config)
        self._shown = shown

    async def on_tick(self, counter: int) -> bool:
        if self._shown is not None and counter % _TICKS_BETWEEN_LOOKS == 0:
            self._shown.refresh()
        return await super().on_tick(counter)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m controlplane.web", description=__doc__)
    parser.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 8000), help="address:port to listen on"
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not address:port")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    main()
