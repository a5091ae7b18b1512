"""Whose certificates are believed: the usual authorities, and one of your own if there is one."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from cli.errors import SlipwayError

VARIABLE = "SLIPWAY_CA_BUNDLE"


def context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """For connections to Slipway and its gateways.

    Raises:
        SlipwayError: the file that SLIPWAY_CA_BUNDLE names cannot be read, or holds no certificate.
    """
    made = ssl.create_default_context()
    if bundle := environ.get(VARIABLE):
        try:
            made.load_verify_locations(cafile=bundle)
        except OSError as problem:  # ssl.SSLError is one
            raise SlipwayError(f"{VARIABLE}={bundle} cannot be used: {problem}") from problem
    return made
