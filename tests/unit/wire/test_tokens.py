from __future__ import annotations

from wire import tokens


def test_a_token_is_of_one_release_and_one_replica() -> None:
    made = {
        tokens.telemetry_token(tokens.release_secret(key, release), replica)
        for key in (b"key-1", b"key-2")
        for release in ("rel_a", "rel_b")
        for replica in ("rep_a", "rep_b")
    }
    assert len(made) == 8
    assert all(len(token) == 43 for token in made)


def test_a_token_is_only_the_same_as_itself() -> None:
    assert tokens.same("token", "token")
    assert tokens.same(b"token", "token")
    assert not any(
        tokens.same(given, "token") for given in ("", "toke", "tokens", b"\xff", "\udcff", "Token")
    )
