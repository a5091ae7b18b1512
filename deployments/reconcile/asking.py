"""Asking hosts what they run: all at once, and one that hangs not by everybody again and again.

A host that hangs takes its whole time limit. Whoever has found that out leaves a note, and passes
over endpoints take the host for silent without asking; the patrol goes on asking, and clears it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache

from core import clock
from deployments.adapters import hosts
from deployments.models import Host
from deployments.ports import ContainerHost, HostFacts, HostRefused, HostSilent, ObservedReplica

_ASKED_AT_ONCE = 64
# In time limits: an answer that took less costs nobody anything, and a note is believed for less
# than it takes to make it again.
_HANGS_FROM, _BELIEVED_FOR = 0.5, 6.0
# How many time limits one round may take: a host answers several questions in it.
_ROUND = 2.0
# What people see of the last contact is accurate to some seconds; a write per pass would be many.
_CONTACT_ACCURACY = timedelta(seconds=3)


@dataclass(slots=True)
class Seen:
    """What one host answered. `adapter` and `replicas` are None when it is silent; `facts` unless
    they were asked for and came."""

    host: Host
    adapter: ContainerHost | None = None
    replicas: Mapping[str, ObservedReplica] | None = None
    facts: HostFacts | None = None

    @property
    def silent(self) -> bool:
        return self.replicas is None

    def turns_silent(self) -> None:
        """In the middle of it: nothing more may be concluded or asked."""
        self.adapter = self.replicas = None


@dataclass(frozen=True, slots=True)
class _Answer:
    adapter: ContainerHost | None
    replicas: Mapping[str, ObservedReplica] | None
    facts: HostFacts | None
    problem: str
    seconds: float


def passing(rows: Iterable[Host]) -> dict[str, Seen]:
    """For a pass over an endpoint, by the keys of the hosts: those that hang are not asked."""
    every = list(rows)
    hanging = cache.get_many([_note_of(host) for host in every])
    seen = _ask([host for host in every if _note_of(host) not in hanging], frozenset())
    return seen | {host.pk: Seen(host) for host in every if host.pk not in seen}


def patrolling(rows: Iterable[Host], facts_of: frozenset[str]) -> dict[str, Seen]:
    """For the patrol: every one, and those with these keys what they are and have."""
    return _ask(list(rows), facts_of)


def _ask(rows: list[Host], facts_of: frozenset[str]) -> dict[str, Seen]:
    if not rows:
        return {}
    pool = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="ask-host")
    asked = {pool.submit(_answer_of, host, host.pk in facts_of): host for host in rows}
    seconds = _ROUND * settings.CONFIG.host_timeout_seconds
    seen: dict[str, Seen] = {}
    # Each is noted as it comes: those that answer must not look silent because of those that hang.
    with suppress(TimeoutError):
        for answer in as_completed(asked, timeout=seconds):
            seen[asked[answer].pk] = _note(asked[answer], answer.result())
    # Whoever still talks ends by the limits of its own connections; nobody waits for it here.
    pool.shutdown(wait=False, cancel_futures=True)
    late = _Answer(None, None, None, "The host took too long to say what it runs.", seconds)
    return seen | {host.pk: _note(host, late) for host in rows if host.pk not in seen}


def _answer_of(host: Host, with_facts: bool) -> _Answer:
    """In a thread of its own, so without the database."""
    began = time.monotonic()
    try:
        adapter = hosts.connect(host)
        replicas = adapter.observe()
        facts = adapter.facts() if with_facts else None
    except (HostSilent, HostRefused) as problem:
        return _Answer(None, None, None, problem.detail, time.monotonic() - began)
    return _Answer(adapter, replicas, facts, "", time.monotonic() - began)


def _note(host: Host, answer: _Answer) -> Seen:
    seen = Seen(host, answer.adapter, answer.replicas, answer.facts)
    if answer.replicas is None:
        if answer.seconds >= _HANGS_FROM * settings.CONFIG.host_timeout_seconds:
            believed = _BELIEVED_FOR * settings.CONFIG.host_timeout_seconds
            cache.set(_note_of(host), answer.problem, believed)
        if host.last_error != answer.problem:
            Host.objects.filter(pk=host.pk).update(last_error=answer.problem)
        return seen
    cache.delete(_note_of(host))
    moment = clock.now()
    last = host.last_contact_at
    if last is None or moment - last > _CONTACT_ACCURACY or host.last_error:
        Host.objects.filter(pk=host.pk).update(last_contact_at=moment, last_error="")
    return seen


def _note_of(host: Host) -> str:
    return f"host-hangs:{host.pk}"
