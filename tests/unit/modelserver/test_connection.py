"""One connection: order, bounds, time and the end; the network is only memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import orjson

from modelserver.connection import TURN
from modelserver.dataplane import DataPlane, Identity
from modelserver.limits import Limits
from tests.unit.modelserver.fakes import TABLE, table, until
from tests.unit.modelserver.talk import LIVE, READY, ROWS, Slow, Talk, asked, quick, request

# --- order --------------------------------------------------------------------------------------


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    talk = quick()
    talk.send(asked("a") + LIVE + asked("b"))
    assert [said.body.get("id") for said in talk.said()] == ["a", None, "b"]


async def test_a_slow_answer_holds_up_those_behind_it(pool: ThreadPoolExecutor) -> None:
    slow = Slow(pool)
    talk = Talk(slow.plane)
    talk.send(asked("a") + LIVE + asked("b"))
    await until(lambda: slow.model.fed)
    assert talk.said() == []
    assert not talk.wire.reading, "what is sent ahead waits at the client"
    slow.go_on()
    await until(lambda: len(talk.said()) == 3)
    assert [said.body.get("id") for said in talk.said()] == ["a", None, "b"]
    assert talk.wire.reading


async def test_a_client_that_sends_very_many_at_once_gets_them_answered_turn_by_turn() -> None:
    talk, other = quick(), quick()
    talk.send(LIVE * 10 * TURN)
    assert len(talk.said()) == TURN
    other.send(LIVE)
    assert len(other.said()) == 1
    await until(lambda: len(talk.said()) == 10 * TURN)


async def test_a_request_may_come_byte_by_byte() -> None:
    talk = quick()
    raw = asked("a") + LIVE
    talk.send(*(raw[at : at + 1] for at in range(len(raw))))
    assert [said.status for said in talk.said()] == [200, 200]


async def test_a_body_may_come_in_chunks_and_another_request_behind_it() -> None:
    talk = quick()
    body = orjson.dumps(table(ROWS, id="a"))
    head = request(content_length=None, transfer_encoding="chunked")
    talk.send(head + b"5\r\n" + body[:5] + b"\r\n")
    talk.send(b"%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n")
    assert talk.said() == []
    talk.send(b"0\r\n\r\n" + LIVE)
    await until(lambda: len(talk.said()) == 2)
    assert talk.said()[0].body["id"] == "a"


# --- what is refused ----------------------------------------------------------------------------


async def test_nothing_behind_an_unclear_request_is_answered() -> None:
    talk = quick()
    smuggled = request("POST", transfer_encoding="chunked", content_length="5")
    talk.send(smuggled + b"0\r\n\r\n" + LIVE, LIVE)
    (said,) = talk.said()
    assert (said.status, said.headers["connection"]) == (400, "close")
    assert talk.report().counts.refused == {"request:malformed": 1}


async def test_a_bad_chunk_ends_the_connection() -> None:
    talk = quick()
    talk.send(request(content_length=None, transfer_encoding="chunked"), b"5\r\nabcdefg\r\n", LIVE)
    (said,) = talk.said()
    assert (said.status, said.headers["connection"]) == (400, "close")
    assert talk.report().in_flight == 0


async def test_a_head_without_end_is_refused() -> None:
    talk = quick()
    talk.send(b"GET / HTTP/1.1\r\nHost: a\r\n", *[b"X: " + b"a" * 999 + b"\r\n"] * 40)
    (said,) = talk.said()
    assert (said.status, said.headers["connection"]) == (431, "close")


async def test_what_follows_the_last_answer_is_thrown_away_for_a_moment() -> None:
    talk = quick()
    talk.send(b"rubbish\r\n\r\n", b"more" * 1000)
    assert [said.status for said in talk.said()] == [400]
    assert not talk.wire.closing, "a reset would take the answer with it"
    talk.later(talk.limits.linger + 1)
    assert talk.wire.closing


async def test_a_large_body_is_refused_and_read_to_its_end() -> None:
    talk = quick()
    talk.send(request(content_length="10000"), b" " * 9000)
    (said,) = talk.said()
    assert (said.status, said.headers["connection"]) == (413, "close")
    assert not talk.wire.closing
    talk.send(b" " * 1000)
    assert talk.wire.closing


async def test_a_large_body_that_is_not_announced_is_refused_while_it_comes() -> None:
    talk = quick()
    talk.send(request(content_length=None, transfer_encoding="chunked"))
    talk.send(*[b"3e8\r\n" + b" " * 1000 + b"\r\n"] * 5)
    assert [said.status for said in talk.said()] == [413]


async def test_who_asks_before_sending_is_told_to_go_on_or_why_not() -> None:
    talk = quick()
    body = orjson.dumps(table(ROWS))
    talk.send(request(expect="100-continue", content_length=str(len(body))))
    assert bytes(talk.wire.sent) == b"HTTP/1.1 100 Continue\r\n\r\n"
    talk.send(body)
    assert [said.status for said in talk.said()] == [200]
    for refused in (
        request(expect="100-continue", content_length="10000"),
        request(path="/v2/models/other/infer", expect="100-continue", content_length="10"),
        request(expect="100-continue", content_length="10", content_type="text/plain"),
    ):
        talk = quick()
        talk.send(refused)
        assert b"100 Continue" not in talk.wire.sent
        assert talk.said()[0].headers["connection"] == "close"
        assert talk.wire.closing


async def test_who_sends_at_once_need_not_be_told_to_go_on() -> None:
    talk = quick()
    talk.send(request(body=table(ROWS), expect="100-continue"))
    assert b"100 Continue" not in talk.wire.sent
    assert [said.status for said in talk.said()] == [200]


async def test_a_request_is_refused_before_its_body_has_come_and_the_next_is_answered() -> None:
    talk = Talk(DataPlane(Identity("tumour", "7", TABLE)))
    talk.send(request(content_length="1000"), b" " * 500)
    assert [said.status for said in talk.said()] == [503]
    talk.send(b" " * 500 + LIVE)
    await until(lambda: len(talk.said()) == 2)
    talk.send(request(content_length=None, transfer_encoding="chunked"))
    talk.send(b"3\r\nabc\r\n0\r\n\r\n" + LIVE)
    await until(lambda: len(talk.said()) == 4)
    assert [said.status for said in talk.said()] == [503, 200, 503, 200]


async def test_an_answer_to_head_has_no_body() -> None:
    talk = quick()
    talk.send(request("HEAD", "/v2/health/live"))
    head, _, body = bytes(talk.wire.sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405")
    assert b"allow: GET" in head
    assert body == b""


async def test_older_clients_are_answered_and_left() -> None:
    talk = quick()
    talk.send(request("GET", "/v2/health/live", version="1.0", host=None))
    assert talk.said()[0].headers["connection"] == "close"
    assert talk.wire.closing
    talk = quick()
    talk.send(request("GET", "/v2/health/live", version="1.0", connection="keep-alive"), asked())
    assert talk.said()[0].headers["connection"] == "keep-alive"
    assert [said.status for said in talk.said()] == [200, 200]


# --- many ---------------------------------------------------------------------------------------


async def test_too_many_large_bodies_at_a_time_are_asked_to_come_back() -> None:
    talk = quick(max_body_bytes=10**6, limits=Limits(held_bytes=200_000))
    talk.send(request(content_length="400000"), *[b" " * 50_000] * 5)
    (said,) = talk.said()
    assert (said.status, said.headers["retry-after"]) == (503, "1")
    assert talk.server._held == 0
    assert talk.report().in_flight == 0


async def test_what_is_held_is_let_go_with_the_answer_and_with_the_client() -> None:
    for end in (b" " * 50_000, None):
        talk = quick(max_body_bytes=10**6)
        talk.send(request(content_length="150000"), *[b" " * 50_000] * 2)
        assert talk.server._held == 100_000
        if end is None:
            talk.hang_up()
        else:
            talk.send(end)
        assert talk.server._held == 0


async def test_too_many_waiting_inferences_are_asked_to_come_back(pool: ThreadPoolExecutor) -> None:
    slow = Slow(pool, queue_limit=1)
    first, second = Talk(slow.plane), Talk(slow.plane)
    first.send(asked())
    second.send(asked())
    (said,) = second.said()
    assert (said.status, said.headers["retry-after"]) == (503, "1")
    slow.go_on()
    await until(first.said)


async def test_the_last_answer_before_the_end_says_so() -> None:
    talk = quick()
    talk.send(READY)
    talk.server.draining = True
    talk.send(asked())
    assert "connection" not in talk.said()[0].headers
    assert talk.said()[1].headers["connection"] == "close"
    assert talk.wire.closing


async def test_the_end_waits_for_requests_and_for_nothing_else(pool: ThreadPoolExecutor) -> None:
    slow = Slow(pool)
    talk = Talk(slow.plane)
    talk.send(asked())
    ending = asyncio.ensure_future(talk.server.close(within=60))
    await until(lambda: talk.server.draining)
    assert not talk.wire.closing
    slow.go_on()
    await until(lambda: talk.wire.closing)
    assert talk.said()[0].headers["connection"] == "close"
    talk.hang_up()
    await ending


async def test_an_idle_connection_does_not_hold_up_the_end() -> None:
    talk = quick()
    talk.send(LIVE)
    ending = asyncio.ensure_future(talk.server.close(within=60))
    await until(lambda: talk.wire.closing)
    talk.hang_up()
    await ending
