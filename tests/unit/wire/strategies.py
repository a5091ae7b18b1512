"""Generated values that both wire and model server tests draw from."""

from __future__ import annotations

from hypothesis import strategies as st

from wire.histogram import Histogram, Recorder

# From below the clock's resolution to over a day: far more than MAX_BUCKETS at full resolution.
durations = st.floats(min_value=0.0, max_value=100_000.0, allow_nan=False)
narrow = st.floats(min_value=0.001, max_value=0.016, allow_nan=False)  # stays at full resolution


def recorded(values: list[float]) -> Histogram:
    recorder = Recorder()
    for value in values:
        recorder.record(value)
    return recorder.snapshot()


histograms = st.lists(durations, max_size=40).map(recorded)
fine_histograms = st.lists(narrow, max_size=40).map(recorded)
