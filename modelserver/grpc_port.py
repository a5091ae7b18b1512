"""A port for gRPC before gRPC is there: it is announced at once, and the import takes a while."""

from __future__ import annotations

import socket


def reserve(host: str, port: int) -> socket.socket:
    """Bound and not listening: who connects is refused. gRPC binds the same port beside it, as it
    allows to share; close this when it has. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((host, port))
    except OSError:
        reserved.close()
        raise
    return reserved
