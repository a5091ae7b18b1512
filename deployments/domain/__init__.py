"""Decisions about deployments: pure, without Django and without I/O."""
