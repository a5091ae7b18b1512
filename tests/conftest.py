"""For all tiers. What one tier needs is in that tier's own conftest."""

from __future__ import annotations

pytest_plugins = ["tests.plugin_tiers"]
