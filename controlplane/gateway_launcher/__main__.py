"""`python -m controlplane.gateway_launcher`: run one gateway until SIGTERM."""

from __future__ import annotations

import asyncio
import sys

from controlplane.gateway_launcher.launcher import CannotStart, Launcher
from controlplane.gateway_launcher.settings import LauncherSettings, parse


async def _run(settings: LauncherSettings) -> None:
    await Launcher(settings).run()


def main() -> int:
    settings = parse()
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        asyncio.run(_run(settings))
    except CannotStart as problem:
        sys.stderr.write(f"gateway: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
