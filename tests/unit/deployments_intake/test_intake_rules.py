"""What intake concludes without looking at the whole file."""

from __future__ import annotations

import gzip
import pickle

import pytest

from deployments.domain import intake, naming

ONNX_HEAD = b"\x08\x0a\x3a\x10"


def test_it_lets_an_onnx_file_pass_on_its_first_bytes() -> None:
    assert intake.sniff(ONNX_HEAD) is None


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_it_knows_a_pickle_whatever_its_name(protocol: int) -> None:
    assert intake.sniff(pickle.dumps({"a": 1}, protocol=protocol)) is intake.PICKLE


@pytest.mark.parametrize(
    "head",
    [b"PK\x03\x04rest", gzip.compress(b"x"), b"BZh91AY", b"\x00" * 257 + b"ustar\x0000" + b"x" * 9],
    # Named: gzip writes the time into its head, and every worker must collect the same tests.
    ids=["zip", "gzip", "bzip2", "tar"],
)
def test_it_knows_an_archive(head: bytes) -> None:
    assert intake.sniff(head) is intake.ARCHIVE


def test_it_knows_an_empty_file() -> None:
    assert intake.sniff(b"") is intake.EMPTY


def test_what_a_program_tells_is_passed_on_in_its_own_words() -> None:
    refusal = intake.from_report({"code": "model:external-data", "message": "No."})
    assert refusal == intake.Refusal("model:external-data", "No.")


def test_the_model_servers_word_for_too_large_becomes_ours() -> None:
    refusal = intake.from_report({"code": "model:too-large-to-load", "message": "Big."})
    assert refusal.code == "model:needs-too-much-memory"


@pytest.mark.parametrize(
    "report",
    [{}, {"code": "model:x", "message": ""}, {"code": "<script>", "message": "x"}, {"code": 5}],
)
def test_a_program_that_talks_nonsense_has_crashed(report: dict[str, object]) -> None:
    assert intake.from_report(report) is intake.CRASHED


def test_a_native_crash_for_want_of_memory_is_told_apart() -> None:
    errors = "terminate called after throwing an instance of 'std::bad_alloc'"
    assert intake.from_errors(errors) is intake.TOO_MUCH_MEMORY
    assert intake.from_errors("Segmentation fault") is intake.CRASHED


@pytest.mark.parametrize("prefix", ["", "sha256:", " SHA256:"])
def test_a_digest_is_read_with_and_without_its_prefix(prefix: str) -> None:
    assert intake.digest_of(prefix + "A" * 64) == "sha256:" + "a" * 64


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "sha512:" + "a" * 64, "a" * 63])
def test_what_is_no_digest_is_none(text: str) -> None:
    assert intake.digest_of(text) is None


@pytest.mark.parametrize("name", ["tumour", "a", "a-1", "9lives", "x" * 60])
def test_a_plain_name_is_a_name(name: str) -> None:
    assert naming.problem_with(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a-", "A", "a b", "a/b", "a_b", "ä", "x" * 61, "versions", "ready", "a\n", "a\x00"],
)
def test_a_name_that_would_break_an_address_is_none(name: str) -> None:
    assert naming.problem_with(name) is not None


def test_an_alias_is_never_a_number() -> None:
    assert naming.problem_with_alias("7") is not None
    assert naming.problem_with_alias("champion") is None
