"""What was taken from others is what the list says, unchanged, with its licence."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parents[3] / "frontend" / "static" / "vendor"
ROW = re.compile(r"^\| (\S+\.js) \| .* \| (\S+) \| .*`(\S+)` \| ([0-9a-f]{64}) \|$", re.MULTILINE)


def listed() -> dict[str, tuple[str, str, str]]:
    found = ROW.findall((VENDOR / "VENDORED.md").read_text())
    return {name: (version, licence, digest) for name, version, licence, digest in found}


def test_every_vendored_script_is_listed_and_no_other() -> None:
    assert listed().keys() == {path.name for path in VENDOR.glob("*.js")}


def test_each_file_is_the_one_that_was_published() -> None:
    for name, (_, _, digest) in listed().items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_each_file_has_its_licence_beside_it() -> None:
    for name, (_, licence, _) in listed().items():
        assert (VENDOR / licence).read_text().strip(), name


def test_the_versions_are_those_that_the_files_name() -> None:
    assert (
        f"v{listed()['plotly-basic.min.js'][0]}"
        in (VENDOR / "plotly-basic.min.js").read_text()[:200]
    )
    assert f'"{listed()["htmx.min.js"][0]}"' in (VENDOR / "htmx.min.js").read_text()
