"""Rows of monitoring."""

from __future__ import annotations

from monitoring.models.windows import Baseline, CollectorShard, JournalSecond, Tally, Window

__all__ = ["Baseline", "CollectorShard", "JournalSecond", "Tally", "Window"]
