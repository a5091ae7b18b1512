"""Networks of a test's own: a namespace at the other end of a wire that can be cut."""

from __future__ import annotations

import secrets
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NETWORKS = "10.213.0.0/16"
"""All wires are in it."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Wire:
    """`here` and `there` are the addresses of its two ends; programs run at the far one when they
    are started with `inside`."""

    name: str
    here: str
    there: str

    @classmethod
    def new(cls) -> Wire:
        """Needs root. A subnet of its own out of those that nobody routes."""
        number = secrets.randbelow(2**14)
        network = f"10.213.{number >> 6}.{(number & 63) * 4}"
        stem, _, last = network.rpartition(".")
        made = cls(
            f"slw{secrets.token_hex(4)}", f"{stem}.{int(last) + 1}", f"{stem}.{int(last) + 2}"
        )
        made._lay()
        return made

    @property
    def inside(self) -> tuple[str, ...]:
        """Not `ip netns exec`: that hides the control groups."""
        return ("nsenter", f"--net=/run/netns/{self.name}")

    def cut(self) -> None:
        """At the far end, so that no packet looks for another way from here."""
        run(*self.inside, "ip", "link", "set", self._far, "down")
        state = Path(f"/sys/class/net/{self._near}/carrier")
        assert state.read_text().strip() == "0", "the wire is cut"

    def mend(self) -> None:
        run(*self.inside, "ip", "link", "set", self._far, "up")

    def remove(self) -> None:
        with suppress(AssertionError):
            run("ip", "link", "del", self._near)
        with suppress(AssertionError):
            run("ip", "netns", "del", self.name)

    @property
    def _near(self) -> str:
        return f"{self.name}a"

    @property
    def _far(self) -> str:
        return f"{self.name}b"

    def _lay(self) -> None:
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far)
        run("ip", "link", "set", self._far, "netns", self.name)
        run("ip", "addr", "add", f"{self.here}/30", "dev", self._near)
        run("ip", "link", "set", self._near, "up")
        run(*self.inside, "ip", "addr", "add", f"{self.there}/30", "dev", self._far)
        for device in ("lo", self._far):
            run(*self.inside, "ip", "link", "set", device, "up")
        run(*self.inside, "ip", "route", "add", "default", "via", self.here)
