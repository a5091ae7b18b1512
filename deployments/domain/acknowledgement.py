"""What a gateway's polls say about the snapshots that it was served. Pure.

Over REST Envoy sends no verdict. A poll names the version that the gateway runs, and that is all:

- naming X is the acknowledgement of X;
- naming something older after X was served is the rejection of X - or X never arrived (web was
  killed while answering, a connection was cut). Both look the same, so X is served `MAX_SERVED`
  times before its silence counts as a rejection; then the poll is held until the snapshot changes,
  because an unheld gateway asks again some sixty times a second;
- naming nothing is a start from nothing. A gateway without any configuration has nothing to lose,
  so a rejected snapshot is offered to it again, once per hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

MAX_SERVED = 3


class Answer(StrEnum):
    SERVE = "serve"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class PollState:
    """What is known of one gateway and one resource type. No generation yet is None."""

    served: int | None = None
    served_count: int = 0
    acked: int | None = None
    rejected: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    state: PollState
    answer: Answer
    newly_acked: bool = False
    newly_rejected: bool = False

    @property
    def is_news(self) -> bool:
        return self.newly_acked or self.newly_rejected


def parse_version(version_info: str) -> int | None:
    """The generation that a poll names. What we never served (no number) counts as nothing."""
    plain = version_info.isascii() and version_info.isdigit()
    # Longer than any number that a database counts to.
    return int(version_info) if plain and len(version_info) < 19 else None


def hear(state: PollState, named: int | None, current: int) -> Judgement:
    """A poll arrived. First what it tells (the gateway runs `named`), then what to answer."""
    heard = replace(state, acked=named)
    if named is None and state.acked is not None:
        # It ran something before, so this is a restart and not silence about what it was served.
        heard = replace(heard, served=None, served_count=0)
    if named is not None and named == state.served:
        # Counting starts anew, or later restarts from an older snapshot would add up to a
        # rejection.
        heard = replace(heard, served_count=0)
    if named is not None and named == state.rejected:
        # It was slow, not unwilling.
        heard = replace(heard, rejected=None)
    judged = answer(heard, named, current)
    return replace(judged, newly_acked=named is not None and named != state.acked)


def answer(state: PollState, named: int | None, current: int) -> Judgement:
    """What to do with a poll that names `named`, arrived just now or held until now. Takes nothing
    from `named` but what is needed for the answer: a held poll may be older than another one."""
    if named == current:
        return Judgement(state, Answer.HOLD)
    if state.served != current:
        return Judgement(replace(state, served=current, served_count=1), Answer.SERVE)
    if state.served_count < MAX_SERVED:
        return Judgement(replace(state, served_count=state.served_count + 1), Answer.SERVE)
    fresh = state.rejected != current
    return Judgement(replace(state, rejected=current), Answer.HOLD, newly_rejected=fresh)


def offer_again(state: PollState, named: int | None, current: int) -> Judgement:
    """A hold ran out. Only a gateway without any configuration is served what it has rejected."""
    if named is None and state.served == current:
        return Judgement(state, Answer.SERVE)
    return Judgement(state, Answer.HOLD)
