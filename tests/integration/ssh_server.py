"""An SSH server at the far end of a wire, through which an Engine is reached."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.engines import Engine
from tests.integration.wires import run
from tests.running import eventually

PORT = 2222


@dataclass(frozen=True, slots=True)
class SshServer:
    """`config` is what `ssh -F` takes: it knows the server and brings a key that is let in. The
    other two lack one of that."""

    address: str
    config: str
    knows_nobody: str
    has_a_foreign_key: str


@contextmanager
def ssh_server(engine: Engine, folder: Path) -> Iterator[SshServer]:
    for name in ("host", "mine", "foreign"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    there = engine.wire.there
    public = (folder / "host.pub").read_text().rsplit(" ", 1)[0]
    (folder / "known").write_text(f"[{there}]:{PORT} {public}\n")
    (folder / "nobody").write_text("")
    (folder / "sshd_config").write_text(_server(engine, folder))
    Path("/run/sshd").mkdir(exist_ok=True)
    command = [*engine.wire.inside, "/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config"]
    with (folder / "sshd.log").open("wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        eventually(lambda: "listening" in (folder / "sshd.log").read_text(), what="sshd listens")
        yield SshServer(
            address=f"ssh://root@{there}:{PORT}",
            config=_client(folder, "works", key="mine", known="known"),
            knows_nobody=_client(folder, "knows-nobody", key="mine", known="nobody"),
            has_a_foreign_key=_client(folder, "foreign", key="foreign", known="known"),
        )
    finally:
        daemon.terminate()
        daemon.wait(20)


def _server(engine: Engine, folder: Path) -> str:
    (folder / "authorized").write_text((folder / "mine.pub").read_text())
    return f"""
        ListenAddress {engine.wire.there}:{PORT}
        HostKey {folder}/host
        AuthorizedKeysFile {folder}/authorized
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        PermitRootLogin prohibit-password
        PidFile none
        SetEnv DOCKER_HOST={engine.unix}
    """


def _client(folder: Path, name: str, *, key: str, known: str) -> str:
    path = folder / f"{name}.conf"
    path.write_text(
        f"Host *\n  IdentityFile {folder}/{key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/{known}\n  GlobalKnownHostsFile /dev/null\n"
    )
    return str(path)
