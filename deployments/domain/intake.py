"""The rules of intake that need no look at the whole file, and what the sandbox's ends mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HEAD_BYTES = 512
_TAR_MAGIC_AT = 257


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file did not become a version. `code` is stable; `sentence` says what to do."""

    code: str
    sentence: str


EMPTY = Refusal("artifact:empty", "The file is empty.")
PICKLE = Refusal(
    "artifact:pickle",
    "The file is a Python pickle, which could run any code when it is opened, so it never is."
    " Export the model to ONNX (skl2onnx, torch.onnx.export, tf2onnx).",
)
ARCHIVE = Refusal(
    "artifact:archive",
    "The file is an archive. Unpack it and upload the one .onnx file inside.",
)
CRASHED = Refusal(
    "model:crashed",
    "The model made ONNX Runtime crash. It was stopped before it could do harm.",
)
TOO_SLOW = Refusal(
    "model:too-slow",
    "Loading the model and answering one row took longer than intake allows.",
)
TOO_MUCH_MEMORY = Refusal(
    "model:needs-too-much-memory",
    "Loading the model and answering one row needs more memory than intake allows.",
)
TOO_MUCH_OUTPUT = Refusal(
    "model:too-much-output",
    "One row of this model, with its answer, is too large to be told as JSON.",
)

_ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",  # gzip
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"\x28\xb5\x2f\xfd",  # zstandard
    b"Rar!",
)


def sniff(head: bytes) -> Refusal | None:
    """What the first bytes already give away; None when it may be a model."""
    if not head:
        return EMPTY
    if head.startswith(_ARCHIVES) or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return ARCHIVE
    # Protocol 2 and later; 0 and 1 begin like text and are refused as no model at all.
    if head[0] == 0x80 and len(head) > 1 and 2 <= head[1] <= 5:
        return PICKLE
    return None


_RENAMED = {"model:too-large-to-load": TOO_MUCH_MEMORY}


def from_report(report: Mapping[str, Any]) -> Refusal:
    """The refusal that a checking program told, in our codes."""
    code, message = str(report.get("code", "")), str(report.get("message", ""))
    if code in _RENAMED:
        return _RENAMED[code]
    if not re.fullmatch(r"(artifact|model):[a-z-]{1,40}", code) or not message:
        return CRASHED
    return Refusal(code, message[:1000])


_MEMORY_SIGNS = ("MemoryError", "bad_alloc", "bad allocation", "Cannot allocate memory")


def from_errors(errors: str) -> Refusal:
    """The refusal for a program that ended without an answer, from what it wrote last."""
    return TOO_MUCH_MEMORY if any(sign in errors for sign in _MEMORY_SIGNS) else CRASHED


def digest_of(text: str) -> str | None:
    """`text` as `sha256:<64 hexadecimal digits>`, prefix or not; None if it is no digest."""
    plain = text.strip().lower()
    digest = plain if plain.startswith("sha256:") else f"sha256:{plain}"
    return digest if DIGEST.fullmatch(digest) else None
