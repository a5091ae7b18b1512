"""2,000 requests that no client means: each is answered or refused as the client's mistake, none
hangs, and the replica does not grow."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import grpc
import pytest

from tests.contract.modelserver import fuzzed_grpc as fuzzed
from tests.contract.modelserver import http2_frames as frames
from tests.contract.modelserver.server import Replica, running
from wire.serving import ServingConfig

REQUESTS, CALLS, BREACHES = 1_700, 200, 100
AT_A_TIME = 16
SECONDS = 60
MIB = 1024 * 1024
# What the allocator keeps of the largest messages; a leak of a few KiB per request is more.
MARGIN = 24 * MIB
FINE = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # larger than a message may be
}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    folder = tmp_path_factory.mktemp("victim")
    with running(folder, grpc=True, config=ServingConfig(max_body_bytes=MIB)) as replica:
        yield replica


@pytest.fixture
def dice() -> random.Random:
    """Different ones in each run; those of a failure again with its `--randomly-seed`."""
    return random.Random(random.randrange(2**32))


def resident(replica: Replica) -> int:
    pages = int(Path(f"/proc/{replica.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def fire(channel: grpc.Channel, every: Iterator[fuzzed.Sent]) -> Counter[grpc.StatusCode]:
    statuses: Counter[grpc.StatusCode] = Counter()
    while some := list(islice(every, AT_A_TIME)):
        asked = [channel.unary_unary(path).future(body, timeout=SECONDS) for path, body in some]
        for sent, call in zip(some, asked, strict=True):
            status = call.code()
            statuses[status] += 1
            assert status in FINE, (status, call.details(), sent.path, sent.body[:2000])
    return statuses


def require_well(replica: Replica, channel: grpc.Channel) -> None:
    """It serves, nothing is left in it, and it had nothing to complain about."""
    infer = f"{fuzzed.SERVICE}/ModelInfer"
    assert channel.unary_unary(infer)(fuzzed.valid().SerializeToString(), timeout=SECONDS)
    assert replica.ready()
    events = Counter(event["event"] for event in replica.events())
    assert events["inference-failed"] == 0, replica.log.read_text()[-4000:]


def test_a_replica_outlives_requests_that_nobody_means(
    victim: Replica, dice: random.Random
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{victim.announced['grpc_port']}") as channel:
        statuses = fire(channel, fuzzed.requests(dice, REQUESTS // 2))
        before = resident(victim)
        statuses += fire(channel, fuzzed.requests(dice, REQUESTS // 2))
        grown = resident(victim) - before
        require_well(victim, channel)
    assert statuses.total() == REQUESTS
    assert statuses[grpc.StatusCode.INVALID_ARGUMENT] > REQUESTS // 3, "they were not read at all"
    assert grown < MARGIN, f"{grown / MIB:.1f} MiB more after {REQUESTS // 2} requests"


def talk(port: int, every: list[tuple[str, bytes]], *, last_word: bool) -> None:
    def said(each: tuple[str, bytes]) -> str:
        try:
            return frames.exchange(port, each[1], last_word=last_word)
        except TimeoutError:
            return "nothing"

    with ThreadPoolExecutor(AT_A_TIME) as several:
        for (name, sent), outcome in zip(every, several.map(said, every), strict=True):
            assert outcome != "nothing", (name, sent)


Spoken = Callable[[random.Random, int], Iterator[tuple[str, bytes]]]


@pytest.mark.parametrize(
    ("spoken", "count", "last_word"),
    [(fuzzed.calls, CALLS, False), (fuzzed.breaches, BREACHES, True)],
)
def test_a_replica_outlives_connections_that_lie(
    victim: Replica, dice: random.Random, spoken: Spoken, count: int, last_word: bool
) -> None:
    port = victim.announced["grpc_port"]
    every = list(spoken(dice, count))
    talk(port, every[: count // 4], last_word=last_word)
    before = resident(victim)
    talk(port, every[count // 4 :], last_word=last_word)
    assert resident(victim) - before < MARGIN
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        require_well(victim, channel)
