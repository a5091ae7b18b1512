"""Sockets to a Docker Engine, with a time limit on everything, whichever way it is reached.

The SDK's own way over SSH has no time limits and takes no options; here the system's `ssh` gets
one end of a socket pair, so that the other end is a socket like any other.
"""

from __future__ import annotations

import math
import os
import secrets
import select
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from deployments.domain.engines import Credentials, EngineAddress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Dial = Callable[[float], socket.socket]
"""A new connection; the seconds bound making it and then every single operation on it."""

_REMOTE_COMMAND = "docker system dial-stdio"
_SSH_ENDS_WITHIN = 2.0


def dialler(
    address: EngineAddress, credentials: Credentials | None = None, *, ssh_config: str = ""
) -> Dial:
    """How to connect to this Engine.

    Raises:
        ValueError, ssl.SSLError: the credentials cannot be used.
    """
    if address.kind == "unix":
        return lambda seconds: _unix(address.path, seconds)
    if address.kind == "ssh":
        return lambda seconds: _ssh(address, ssh_config, seconds)
    if credentials is None:
        return lambda seconds: _tcp(address, seconds)
    context = context_of(credentials)
    return lambda seconds: _tls(address, context, seconds)


def context_of(credentials: Credentials) -> ssl.SSLContext:
    """Trusts this authority and no other; presents our certificate.

    Raises:
        ValueError, ssl.SSLError: one of them is not what it should be, or they do not belong
            together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=credentials.authority)
    _present(credentials, context)
    return context


def _present(credentials: Credentials, context: ssl.SSLContext) -> None:
    """Python reads keys from files only, so it is given one that says nothing."""
    password = secrets.token_urlsafe(32)
    key = serialization.load_pem_private_key(credentials.key.encode(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "client.pem"
        file.write_bytes(credentials.certificate.encode() + b"\n" + encrypted)
        context.load_cert_chain(file, password=password)


def _unix(path: str, seconds: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(seconds)
    try:
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _tcp(address: EngineAddress, seconds: float) -> socket.socket:
    made = socket.create_connection((address.host, address.port), seconds)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _tls(address: EngineAddress, context: ssl.SSLContext, seconds: float) -> socket.socket:
    plain = _tcp(address, seconds)
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except BaseException:
        plain.close()
        raise


def end_writing(made: socket.socket) -> None:
    """Nothing more comes; whoever reads sees the end of it. What comes back can still be read."""
    if not isinstance(made, ssl.SSLSocket):
        made.shutdown(socket.SHUT_WR)
        return
    seconds = made.gettimeout()
    made.settimeout(0)  # the peer's own farewell comes much later, or never
    while True:
        try:
            made.unwrap()
            return
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            if not select.select([], [made], [], seconds)[1]:
                raise TimeoutError from None


class SshSocket(socket.socket):
    """Our end of the pair whose other end is `ssh`. Closing it ends `ssh` at once."""

    _ssh: subprocess.Popen[bytes]
    _said: IO[bytes]
    _owner: int

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """An end before the Engine's is told in the words of `ssh`.

        Raises:
            ConnectionError
        """
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except ConnectionError as problem:
            # It ended before it had read what it was sent.
            raise ConnectionError(self._problem() or str(problem)) from None
        if count == 0 and (told := self._problem()):
            raise ConnectionError(told)
        return count

    def _problem(self) -> str:
        try:
            code = self._ssh.wait(_SSH_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            return ""
        self._said.seek(0)
        words = self._said.read(2000).decode(errors="replace").strip()
        return f"ssh: {words}" if code else ""

    def _real_close(self) -> None:
        super()._real_close()  # type: ignore[misc]  # as SSLSocket does: when its last file closes
        self._said.close()
        if self._owner == os.getpid():  # not in a child that was forked later
            self._ssh.kill()
            self._ssh.wait()


def _ssh(address: EngineAddress, config: str, seconds: float) -> socket.socket:
    ours, theirs = socket.socketpair()
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
    try:
        with theirs:
            process = subprocess.Popen(
                _ssh_command(address, config, seconds),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=said,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        said.close()
        raise
    made = SshSocket(fileno=ours.detach())
    made._ssh, made._said, made._owner = process, said, os.getpid()
    made.settimeout(seconds)
    return made


def _ssh_command(address: EngineAddress, config: str, seconds: float) -> list[str]:
    """Never asks anybody anything, and talks to no machine whose key is not known."""
    whole = max(1, math.ceil(seconds))
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={whole}"]
    options += [f"ServerAliveInterval={whole}", "ServerAliveCountMax=2", "ControlMaster=no"]
    command = ["ssh", "-T", "-x", "-a"]
    command += [word for option in options for word in ("-o", option)]
    command += ["-F", config] if config else []
    command += ["-p", str(address.port)] if address.port else []
    command += ["-l", address.user] if address.user else []
    return [*command, "--", address.host, _REMOTE_COMMAND]
