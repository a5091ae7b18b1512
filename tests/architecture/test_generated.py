"""What is made of something else and checked in is what would be made of it now."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_grpc_messages_are_those_of_the_proto_file(tmp_path: Path) -> None:
    """`make protocol` makes them."""
    subprocess.run(["scripts/protocol.sh", str(tmp_path)], cwd=ROOT, check=True)
    for name in ("inference_pb2.py", "inference_pb2.pyi"):
        path = Path("modelserver", "pb", name)
        assert (tmp_path / path).read_text() == (ROOT / path).read_text(), name
