"""The command line: `python -m modelserver serve ...` and `python -m modelserver inspect ...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code; argparse itself exits with 2 on a wrong command line."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "inspect":
        from modelserver import inspect  # noqa: PLC0415  # neither command pays for the other's imports

        return inspect.run(
            arguments.artifact,
            sys.stdout.buffer,
            max_seconds=arguments.max_seconds,
            allow_nonfinite=arguments.allow_nonfinite,
        )
    from modelserver import serve  # noqa: PLC0415

    return serve.run(
        serve.Options(
            artifact=arguments.artifact,
            trust=arguments.trust,
            name=arguments.name,
            bind=serve.Address(*arguments.bind),
            drain_wait=arguments.drain_wait,
            grpc_bind=serve.Address(*arguments.grpc_bind) if arguments.grpc_bind else None,
            announce=arguments.announce,
            version_manifest=arguments.version_manifest,
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelserver", description="Serves one ONNX model.")
    commands = parser.add_subparsers(dest="command", required=True)
    inspect = commands.add_parser("inspect", help="load a file, run one row, report its signature")
    inspect.add_argument("--artifact", type=Path, required=True)
    inspect.add_argument("--max-seconds", type=float)
    inspect.add_argument(
        "--allow-nonfinite", action="store_true", help="let the model answer NaN and infinity"
    )
    serve = commands.add_parser(
        "serve", help="serve a model; the signed manifest comes on standard input"
    )
    serve.add_argument("--artifact", type=Path, required=True)
    serve.add_argument("--trust", required=True, help="the control plane's public key, in base64")
    serve.add_argument("--name", required=True, help="HOST_ID/REPLICA_ID")
    serve.add_argument(
        "--bind", type=_address, default=("127.0.0.1", 0), help="address:port; port 0 is a free one"
    )
    serve.add_argument(
        "--grpc-bind", type=_address, help="address:port for gRPC; without it there is no gRPC"
    )
    serve.add_argument("--announce", type=Path, help="file to write the bound addresses to")
    serve.add_argument(
        "--version-manifest", type=Path, help="what the image says that it holds, signed"
    )
    serve.add_argument(
        "--drain-wait", type=float, default=5.0, help="seconds from not ready to not accepting"
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not address:port")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a thread inside ONNX Runtime (a load nobody awaits) must not hold the end up.
    os._exit(code)
