"""The log of a build, bounded: its beginning and its end are kept. Pure."""

from __future__ import annotations

from collections import deque

HEAD_CHARACTERS = 64 * 1024
TAIL_CHARACTERS = 64 * 1024
_LINE_CHARACTERS = 4096


class BuildLog:
    """Lines as they come. Goes on after what an earlier attempt has written."""

    def __init__(self, earlier: str = "") -> None:
        self._head: list[str] = []
        self._head_room = HEAD_CHARACTERS
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0
        for line in earlier.splitlines():
            self.append(line)

    def append(self, line: str) -> None:
        # A database cannot keep a NUL, and an Engine says what it likes.
        line = line.replace("\0", "").rstrip()[:_LINE_CHARACTERS]
        size = len(line) + 1
        if not self._tail and size <= self._head_room:
            self._head.append(line)
            self._head_room -= size
            return
        self._tail.append(line)
        self._tail_size += size
        while self._tail_size > TAIL_CHARACTERS:
            self._tail_size -= len(self._tail.popleft()) + 1
            self._left_out += 1

    @property
    def text(self) -> str:
        gap = [f"… {self._left_out} lines are left out here …"] if self._left_out else []
        return "\n".join([*self._head, *gap, *self._tail])

    def tail(self, lines: int) -> str:
        return "\n".join([*self._head, *self._tail][-lines:])
