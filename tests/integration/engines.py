"""Docker Engines of a test's own, to be stopped, hung, cut off and filled up.

    with Engine(folder) as engine:
        engine.hang()

Each is a `dockerd` at the far end of a wire, with data of its own; nothing that it does is seen by
the machine's own Engine, and nothing of it is left afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
import psutil
from docker.errors import DockerException

from deployments.adapters import docker_client
from deployments.adapters.docker_images import DockerImages
from deployments.ports import HostSilent
from tests.factories.certificates import Pair, authority, issue
from tests.integration.wires import NETWORKS, Wire, run
from tests.running import eventually, gone

MACHINES_OWN = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
_STARTS_WITHIN = 60.0


class Engine:
    """`disk_bytes` gives it a disk of this size, which can be full; otherwise it shares ours.

    It listens on `unix`, and behind mutual TLS on `tcp`, for which `client` and `authority` are the
    credentials.
    """

    def __init__(self, *, disk_bytes: int = 0) -> None:
        # Short: the path of a socket has 108 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="slw-", dir="/tmp"))
        self.data = self.folder / "data"
        self._disk_bytes = disk_bytes
        self._daemon: psutil.Process | None = None

    @property
    def unix(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def tcp(self) -> str:
        return f"tcp://{self.address}:2376"

    @property
    def address(self) -> str:
        """Where ports are published, too."""
        return self.wire.there

    @property
    def pid(self) -> int:
        assert self._daemon is not None, "it does not run"
        return self._daemon.pid

    def __enter__(self) -> Self:
        self.wire = Wire.new()
        try:
            self._lay_out()
            self.start()
        except BaseException:
            self._clear_away()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear_away()

    # --- what happens to it -------------------------------------------------------------------

    def start(self) -> None:
        # Of one that was killed; nobody may have taken note of its end yet, and it would be waited
        # for.
        (self.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen(
                [*self.wire.inside, "dockerd", *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._daemon = psutil.Process(started.pid)
        self._started = started
        eventually(self._answers, within=_STARTS_WITHIN, what=f"dockerd: {self._last_words()}")

    def stop(self) -> None:
        """In order: it ends its containers, then itself."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """At once: its containers go on."""
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """It takes connections and answers none."""
        os.kill(self.pid, signal.SIGSTOP)
        process = psutil.Process(self.pid)
        eventually(lambda: process.status() == psutil.STATUS_STOPPED, what="it hangs")

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def cut(self) -> None:
        self.wire.cut()

    def mend(self) -> None:
        self.wire.mend()

    # --- what is on it ------------------------------------------------------------------------

    def client(self) -> AbstractContextManager[docker.DockerClient]:
        """As root of the machine, by its socket: to look and to be a stranger."""
        return closing(docker.DockerClient(base_url=self.unix, timeout=60))

    def load(self, reference: str) -> str:
        """Bring an image of the machine's own Engine; its id here."""
        theirs = DockerImages(docker_client.engine(MACHINES_OWN, None, seconds=20.0), "")
        mine = DockerImages(docker_client.engine(self.unix, None, seconds=20.0), "")
        if not mine.id_of(reference):
            mine.load(theirs.save(reference))
        return mine.id_of(reference)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.data).free

    # --- inside -------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.data.mkdir()
        if self._disk_bytes:
            disk = self.folder / "disk"
            with disk.open("wb") as file:
                file.truncate(self._disk_bytes)
            run("mkfs.ext4", "-q", "-F", "-m", "0", str(disk))
            run("mount", "-o", "loop", str(disk), str(self.data))
        self.authority = authority()
        self.client_pair = issue(self.authority, "slipway", client=True)
        server = issue(self.authority, "engine", addresses=[self.address])
        for name, text in (
            # And not that of the machine's own Engine. Registries on tests' wires have no TLS.
            ("daemon.json", json.dumps({"insecure-registries": [NETWORKS]})),
            ("ca.pem", self.authority.certificate),
            ("cert.pem", server.certificate),
            ("key.pem", server.key),
        ):
            (self.folder / name).write_text(text)

    def _options(self) -> list[str]:
        at = self.folder
        return [
            *("--data-root", str(self.data), "--exec-root", str(at / "exec")),
            *("--pidfile", str(at / "pid"), "--config-file", str(at / "daemon.json")),
            *("--host", self.unix, "--host", self.tcp, "--tlsverify"),
            *("--tlscacert", str(at / "ca.pem"), "--tlscert", str(at / "cert.pem")),
            *("--tlskey", str(at / "key.pem"), "--log-level", "warn"),
        ]

    def _answers(self) -> bool:
        assert self._started.poll() is None, self._last_words()
        # Docker's client does not close a socket that it could not connect.
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            if probe.connect_ex(self.unix.removeprefix("unix://")) != 0:
                return False
        try:
            return bool(docker_client.engine(self.unix, None, seconds=20.0).quick.ping())
        except (HostSilent, DockerException, OSError):
            return False

    def _last_words(self) -> str:
        log = self.folder / "log"
        return log.read_text()[-2000:] if log.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        assert self._daemon is not None, "it does not run"
        daemon, self._daemon = self._daemon, None
        with suppress(ProcessLookupError):
            os.kill(daemon.pid, signal.SIGCONT)
            os.kill(daemon.pid, number)
        try:
            self._started.wait(60)
        except subprocess.TimeoutExpired:
            self._started.kill()
            self._started.wait()
        assert gone(daemon), "it has ended"

    def _processes(self) -> list[psutil.Process]:
        """containerd and the shims, and what runs in the containers below them."""
        found: list[psutil.Process] = []
        for each in psutil.process_iter(["cmdline"]):
            if any(str(self.folder) in word for word in each.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    found += [*each.children(recursive=True), each]
        return found

    def _clear_away(self) -> None:
        with suppress(AssertionError):
            self.stop()
        for each in self._processes():
            with suppress(psutil.Error):
                each.kill()
        eventually(lambda: not self._processes(), what="all of it has ended")
        for mounted in _mounts_below(self.folder):
            subprocess.run(["umount", "-l", mounted], capture_output=True, check=False)
        self.wire.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def _mounts_below(folder: Path) -> list[str]:
    """The deepest first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    paths = [line.split(" ")[1] for line in lines]
    return sorted((path for path in paths if path.startswith(f"{folder}/")), reverse=True)


def credentials_of(engine: Engine) -> dict[str, Any]:
    """As the API takes them."""
    pair: Pair = engine.client_pair
    return {
        "authority": engine.authority.certificate,
        "certificate": pair.certificate,
        "key": pair.key,
    }
