"""TLS handshakes between two contexts, in memory."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress

from core.pki import Issued
from wire import certificates


def server(shown: Issued, trusted: str) -> ssl.SSLContext:
    """As a replica has it: shows `shown` and wants a certificate of the trusted authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.load(context, shown.certificate, shown.key)
    context.load_verify_locations(cadata=trusted)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client(trusted: str, shown: Issued | None = None) -> ssl.SSLContext:
    """Somebody who trusts this authority and shows what they have."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=trusted)
    if shown is not None:
        certificates.load(context, shown.certificate, shown.key)
    return context


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str | None, str | None]:
    """Whom the server saw and whom the client saw; raises what either of them raised."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server)
    for _ in range(4):
        step(asking.do_handshake)
        step(answering.do_handshake)
    # With TLS 1.3 the client learns of a refusal only when it reads.
    step(lambda: asking.read(1))
    return (
        certificates.peer_identity(answering.getpeercert()),
        certificates.peer_identity(asking.getpeercert()),
    )


def step(step: Callable[[], object]) -> None:
    with suppress(ssl.SSLWantReadError):
        step()
