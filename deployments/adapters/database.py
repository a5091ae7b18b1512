"""Giving the database connection back before a wait that needs none."""

from __future__ import annotations

from django.db import connection


def let_go() -> None:
    """Hand this thread's connection back to the pool; the next query takes one again.

    Inside a transaction nothing happens: the caller is then a test, or about to be told off.
    """
    if not connection.in_atomic_block:
        connection.close()
