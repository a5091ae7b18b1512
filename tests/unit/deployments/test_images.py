"""Which images are made where, and which are let go of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import images
from deployments.domain.build_log import HEAD_CHARACTERS, TAIL_CHARACTERS, BuildLog
from deployments.domain.images import Held, Needs, Order, Place, Stored, Work


def place(name: str, **known: bool) -> Place:
    return Place(name, **({"answers": True, "has_base": True} | known))


def ordered(*places: Place, held: Held = Held.NOWHERE, building: bool = False) -> list[Order]:
    return images.orders(places, held, being_built=building)


def test_one_host_builds_and_the_others_wait() -> None:
    assert ordered(place("a"), place("b")) == [Order(Work.BUILD, "a")]


def test_a_host_that_answers_and_has_the_base_is_chosen() -> None:
    places = [place("silent", answers=False), place("bare", has_base=False), place("able")]
    assert ordered(*places) == [Order(Work.BUILD, "able")]


def test_where_none_has_the_base_one_that_answers_is_asked() -> None:
    places = [place("silent", answers=False), place("bare", has_base=False)]
    assert ordered(*places) == [Order(Work.BUILD, "bare")]


def test_an_image_that_is_somewhere_is_copied_to_each_host_that_lacks_it() -> None:
    places = [place("has", has_copy=True), place("lacks"), place("busy", busy=True)]
    assert ordered(*places, held=Held.REACHABLE) == [Order(Work.COPY, "lacks")]


def test_where_only_silent_hosts_have_it_another_one_builds_if_it_can() -> None:
    silent = place("silent", answers=False, has_copy=True)
    assert ordered(silent, place("able"), held=Held.SILENT) == [Order(Work.BUILD, "able")]
    assert ordered(silent, place("bare", has_base=False), held=Held.SILENT) == []
    assert ordered(silent, held=Held.SILENT) == []


@pytest.mark.parametrize("held", list(Held))
def test_a_host_that_has_it_is_never_asked_to_make_it(held: Held) -> None:
    assert ordered(place("has", has_copy=True), held=held) == []


def test_nothing_is_queued_twice_nor_where_it_failed_lately() -> None:
    assert ordered(place("a", busy=True), place("b")) == []
    assert ordered(place("a"), building=True) == []
    assert ordered(place("a", gave_up=True)) == []
    assert ordered(place("a", gave_up=True), held=Held.REACHABLE) == []
    assert ordered() == []


def test_a_build_moves_to_a_host_that_could_do_it_or_stays() -> None:
    assert images.next_builder("a", [place("a", answers=False), place("b")]) == "b"
    assert images.next_builder("a", [place("a"), place("b", has_base=False)]) == "a"
    assert images.next_builder("a", [place("a"), place("b", busy=True)]) == "a"
    assert images.next_builder("a", []) == "a"


def test_the_name_on_an_engine_is_the_content() -> None:
    digest = "sha256:" + "a" * 64
    assert images.tag_of("tumour", digest) == "slipway/tumour:" + "a" * 64
    assert images.repository_of("registry:5000/models/", "tumour") == "registry:5000/models/tumour"


def test_the_wait_between_attempts_grows_and_has_an_end() -> None:
    waits = [images.backoff_seconds(attempt) for attempt in range(1, 8)]
    assert waits[:3] == [2.0, 6.0, 18.0]
    assert waits == sorted(waits)
    assert max(waits) == 60.0


# --- garbage -------------------------------------------------------------------------------------


def stored(name: str, made: float, *endpoints: str, needed: str = "") -> Stored:
    return Stored(name, made, frozenset(endpoints), needed)


def gone(*images_held: Stored, keep: int = 2) -> set[str]:
    return {each.engine_id for each in images.garbage(images_held, keep)}


def test_the_newest_of_an_endpoint_stay_and_the_older_go() -> None:
    rows = [stored(str(age), age, "end") for age in range(6)]
    assert gone(*rows) == {"0", "1", "2", "3"}


def test_what_is_needed_stays_however_old_it_is() -> None:
    rows = [stored(str(age), age, "end") for age in range(1, 5)]
    assert gone(stored("live", 0, "end", needed="is live"), *rows) == {"1", "2"}


def test_an_image_of_two_endpoints_stays_for_the_one_in_which_it_is_new() -> None:
    busy = [stored(f"busy-{age}", age, "busy") for age in range(10, 15)]
    assert "shared" not in gone(stored("shared", 1, "busy", "quiet"), *busy)
    assert "shared" in gone(stored("shared", 1, "busy"), *busy)


def test_what_no_endpoint_ever_used_goes() -> None:
    assert gone(stored("lost", 9)) == {"lost"}
    assert gone(stored("lost", 9, needed="a container was made of it")) == set()


STORED = st.builds(
    Stored,
    engine_id=st.text("abcdef", min_size=1),
    made=st.floats(0, 1e9),
    endpoints=st.frozensets(st.sampled_from("xyz")),
    needed=st.sampled_from(["", "", "is live"]),
)


@given(st.lists(STORED, unique_by=lambda each: each.engine_id), st.integers(1, 5))
def test_whatever_there_is_nothing_needed_goes_and_every_endpoint_keeps_its_newest(
    rows: list[Stored], keep: int
) -> None:
    going = set(images.garbage(rows, keep))
    assert not any(each.needed for each in going)
    for endpoint in "xyz":
        mine = sorted(
            (each for each in rows if endpoint in each.endpoints),
            key=lambda each: (-each.made, each.engine_id),
        )
        assert not going.intersection(mine[:keep])


def test_the_first_reason_to_keep_an_image_is_the_one_that_is_told() -> None:
    needs = Needs.of([("is live", {"a"}), ("a rollout needs it", {"a", "b"})])
    assert (needs.why("a"), needs.why("b"), needs.why("c")) == (
        "is live",
        "a rollout needs it",
        "",
    )


# --- the log of a build --------------------------------------------------------------------------


def test_a_short_log_is_kept_whole() -> None:
    log = BuildLog("earlier")
    log.append("one\0 line ")
    assert log.text == "earlier\none line"
    assert log.tail(1) == "one line"


def test_of_a_long_log_the_beginning_and_the_end_are_kept() -> None:
    log = BuildLog()
    for number in range(50_000):
        log.append(f"line {number}")
    lines = log.text.splitlines()
    assert lines[0] == "line 0"
    assert lines[-1] == "line 49999"
    assert any("left out" in line for line in lines)
    assert len(log.text) < HEAD_CHARACTERS + TAIL_CHARACTERS + 100


def test_one_endless_line_is_cut() -> None:
    log = BuildLog()
    log.append("x" * 1_000_000)
    assert len(log.text) < 10_000
