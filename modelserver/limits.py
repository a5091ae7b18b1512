"""How much, how many and how long, for those who connect."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, unless it says otherwise. A body or an answer may take longer than its limit as long
    as it moves by `slowest` bytes a second."""

    connections: int = 1024
    handshake: float = 5.0
    head: float = 10.0
    body: float = 30.0
    write: float = 30.0
    slowest: int = MIB // 4
    idle: float = 75.0  # longer than the gateway keeps a connection that it does not use
    linger: float = 2.0
    # Of all the bodies together that came in pieces and are not answered yet.
    held_bytes: int = 256 * MIB
