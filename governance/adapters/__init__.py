"""The outside world of governance."""
