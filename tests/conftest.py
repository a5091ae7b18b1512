"""For all tiers. What one tier needs is in that tier's own conftest."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.plugin_tiers", "tests.plugin_failures"]

# A busy machine is not a failed property: time is bounded for the tier, not for one example.
settings.register_profile("slipway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slipway")
