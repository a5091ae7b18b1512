from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.errors import Broken
from core.keys import KeyStore


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "secrets")


def test_what_was_sealed_opens_for_what_it_belongs_to_only(keys: KeyStore) -> None:
    text = keys.seal("artifacts", b"key of a model", "sha256:one")
    assert keys.unseal("artifacts", text, "sha256:one") == b"key of a model"
    for purpose, aad in (("artifacts", "sha256:two"), ("hosts", "sha256:one")):
        with pytest.raises(Broken) as caught:
            keys.unseal(purpose, text, aad)
        assert caught.value.stable_code == "keys:not-opened"


def test_sealing_the_same_twice_gives_two_texts_that_do_not_show_it(keys: KeyStore) -> None:
    texts = {keys.seal("artifacts", b"key of a model", "a") for _ in range(2)}
    assert len(texts) == 2
    assert not any("key of a model" in text for text in texts)


def test_the_wrapped_key_of_an_artifact_fits_into_its_column(keys: KeyStore) -> None:
    assert len(keys.seal("artifacts", bytes(32), "a")) < 200


@pytest.mark.parametrize("text", ["", "1", "1.", "x.AAAA", "1.!!!", "2.AAAA", "-1.AAAA", "1.AAAA"])
def test_noise_does_not_open_and_makes_no_key(keys: KeyStore, text: str) -> None:
    with pytest.raises(Broken):
        keys.unseal("artifacts", text, "a")
    assert not keys.folder.exists()


def test_a_changed_text_does_not_open(keys: KeyStore) -> None:
    text = keys.seal("artifacts", b"key", "a")
    changed = text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")
    with pytest.raises(Broken):
        keys.unseal("artifacts", changed, "a")


def test_a_rotated_key_seals_from_then_on_and_the_old_one_still_opens(keys: KeyStore) -> None:
    old = keys.seal("artifacts", b"key", "a")
    assert keys.generation("artifacts") == 1
    assert keys.rotate("artifacts") == 2
    new = keys.seal("artifacts", b"key", "a")
    assert (old[:2], new[:2]) == ("1.", "2.")
    # Another process, which has seen none of this.
    again = KeyStore(keys.folder)
    assert again.unseal("artifacts", old, "a") == again.unseal("artifacts", new, "a") == b"key"
    assert {path.name for path in keys.folder.iterdir()} == {"seal-artifacts", "seal-artifacts.2"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys.folder.iterdir())


def test_a_retired_key_opens_nothing_and_does_not_come_back(keys: KeyStore) -> None:
    old = keys.seal("artifacts", b"key", "a")
    keys.rotate("artifacts")
    keys.retire("artifacts", 1)
    with pytest.raises(Broken):
        keys.unseal("artifacts", old, "a")
    assert keys.rotate("artifacts") == 3
    assert keys.seal("artifacts", b"key", "a").startswith("3.")
    with pytest.raises(ValueError, match="in use"):
        keys.retire("artifacts", 3)


def test_purposes_are_words_and_no_paths(keys: KeyStore) -> None:
    for purpose in ("", "../x", "Artifacts", "a.b"):
        with pytest.raises(ValueError, match="purpose"):
            keys.seal(purpose, b"", "")
