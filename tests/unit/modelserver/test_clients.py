"""Clients that read slowly, hang up, trickle or stay; the network is only memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from modelserver.dataplane import DataPlane, Identity
from modelserver.limits import Limits
from tests.unit.modelserver.fakes import TABLE, until
from tests.unit.modelserver.talk import HIGH_WATER, LIVE, Slow, Talk, asked, quick, request


async def test_a_client_that_does_not_read_gets_no_more_answers() -> None:
    talk = quick()
    talk.wire.stalls = True
    talk.send(*[LIVE] * 10_000)
    assert HIGH_WATER <= len(talk.wire.sent) <= 2 * HIGH_WATER
    assert not talk.wire.reading
    talk.wire.read_all()
    talk.send(LIVE)
    assert talk.wire.reading
    talk.later(talk.limits.write + 1)
    assert not talk.wire.aborted


async def test_a_client_that_never_reads_is_left() -> None:
    talk = quick()
    talk.wire.stalls = True
    talk.send(*[LIVE] * 10_000)
    talk.later(talk.limits.write - 1)
    assert not talk.wire.aborted
    talk.later(talk.limits.write + 1)
    assert talk.wire.aborted


async def test_a_client_that_reads_slowly_but_steadily_gets_its_answer() -> None:
    talk = quick()
    talk.wire.stalls = True
    talk.send(*[LIVE] * 10_000)
    talk.wire.waiting -= talk.limits.slowest * 10
    talk.later(talk.limits.write + 5)
    assert not talk.wire.aborted


async def test_an_inference_whose_client_has_hung_up_is_given_up(pool: ThreadPoolExecutor) -> None:
    slow = Slow(pool)
    first, second = Talk(slow.plane), Talk(slow.plane)
    first.send(asked())
    await until(lambda: len(slow.model.fed) == 1)
    second.send(asked())
    assert second.report().in_flight == 1
    second.hang_up()
    assert second.report().in_flight == 0
    await asyncio.sleep(0)  # who waits for a cancelled future hears of it at the next tick
    slow.go_on()
    await until(first.said)
    assert len(slow.model.fed) == 1, "the second was never run"
    assert second.report().counts.total_requests == 0


async def test_a_client_that_hangs_up_in_the_middle_is_neither_answered_nor_counted() -> None:
    talk = quick()
    talk.send(request(content_length="100"), b"{")
    assert talk.report().in_flight == 1
    talk.hang_up()
    assert talk.said() == []
    assert (talk.report().in_flight, talk.report().counts.total_requests) == (0, 0)


async def test_who_has_said_everything_may_still_listen(pool: ThreadPoolExecutor) -> None:
    slow = Slow(pool)
    talk = Talk(slow.plane)
    talk.send(asked("a") + asked("b"))
    talk.end()
    assert not talk.wire.closing
    slow.go_on()
    await until(lambda: talk.wire.closing)
    assert [said.body["id"] for said in talk.said()] == ["a", "b"]


async def test_who_ends_in_the_middle_of_a_request_is_left() -> None:
    for raw in (b"GET / HT", request(content_length="10")):
        talk = quick()
        talk.send(raw)
        talk.end()
        assert talk.wire.closing


# --- time ---------------------------------------------------------------------------------------


async def test_a_head_that_trickles_is_given_up() -> None:
    talk = quick()
    talk.send(b"GET / HTTP/1.1\r\n")
    talk.later(talk.limits.head - 1)
    talk.send(b"X: a\r\n")
    assert talk.said() == []
    talk.later(talk.limits.head + 1)
    (said,) = talk.said()
    assert (said.status, said.headers["connection"]) == (408, "close")


async def test_a_body_that_trickles_is_given_up() -> None:
    talk = quick()
    talk.send(request(content_length="100"), b"{")
    talk.later(talk.limits.body + 1)
    (said,) = talk.said()
    assert (said.status, said.headers["connection"]) == (408, "close")
    assert talk.report().counts.refused == {"request:too-slow": 1}
    assert talk.report().in_flight == 0


async def test_a_large_body_has_the_time_that_it_takes() -> None:
    size = 10 * Limits().slowest
    talk = quick(max_body_bytes=2 * size)
    talk.send(request(content_length=str(2 * size)), b" " * size)
    talk.later(talk.limits.body + 9)
    assert talk.said() == []
    talk.later(talk.limits.body + 11)
    assert [said.status for said in talk.said()] == [408]


async def test_a_refused_body_that_trickles_is_given_up() -> None:
    talk = Talk(DataPlane(Identity("tumour", "7", TABLE)))
    talk.send(request(content_length="1000"), b" ")
    assert not talk.wire.closing
    talk.later(talk.limits.body + 1)
    assert talk.wire.closing


async def test_a_connection_is_kept_longer_than_a_gateway_keeps_it_and_not_for_ever() -> None:
    talk = quick()
    talk.send(LIVE)
    talk.later(talk.limits.idle - 1)
    assert not talk.wire.closing
    talk.later(talk.limits.idle + 1)
    assert talk.wire.closing
    assert talk.limits.idle >= 5


async def test_what_is_closed_and_not_read_is_ended_all_the_same() -> None:
    talk = quick()
    talk.send(request("GET", "/v2/health/live", connection="close"))
    assert talk.wire.closing
    assert not talk.wire.aborted
    talk.later(talk.limits.write + 1)
    assert talk.wire.aborted


async def test_an_inference_may_take_as_long_as_it_takes(pool: ThreadPoolExecutor) -> None:
    slow = Slow(pool)
    talk = Talk(slow.plane)
    talk.send(asked())
    talk.later(3600)
    assert not talk.wire.closing
    slow.go_on()
    await until(talk.said)
