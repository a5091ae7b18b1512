"""Adding, changing and removing hosts, and giving up the replicas of one that is silent."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction

from core import clock, live
from core.concurrency import compare_and_set
from core.errors import Conflict, Invalid, NotAllowed
from deployments import wakeups
from deployments.adapters import database, docker_dial
from deployments.adapters import hosts as adapters
from deployments.domain import engines, fleet, naming
from deployments.domain.engines import Credentials
from deployments.models import Environment, Host, Replica
from deployments.ports import HostFacts, HostRefused, HostSilent
from deployments.selectors import environments, gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor, Subject

MAX_CAPACITY = 10_000
LONGEST_PEM = 20_000


@dataclass(frozen=True, slots=True)
class Engine:
    """How a Docker Engine is reached, and where it publishes the ports of its replicas: by
    default, where it is reached itself."""

    address: str
    publish_address: str = ""
    credentials: Credentials | None = None


def add(
    *,
    actor: Actor,
    environment: str,
    name: str,
    kind: str = Host.Kind.PROCESS,
    engine: Engine | None = None,
    capacity: int = 32,
) -> Host:
    """A host that from now on takes replicas. Whoever adds a Docker host makes this system root on
    its machine; the Engine is asked once before it is kept.

    Raises:
        NotFound: the environment.
        NotAllowed: the actor may not, or `host:kind-not-allowed` by these settings.
        Invalid: `invalid_name`, `unknown_choice`, `unexpected_address`, `out_of_bounds`, and what
            `_checked` and `_tried` say of an Engine.
        Conflict: `host:name-taken`.
    """
    place = gate.environment_for(actor, environment)
    authorize.require(actor, "host.add", Subject("host", environment_id=place.pk))
    changes.require_name(naming.problem_with(name))
    _require_kind(kind, engine)
    host = Host(environment=place, name=name, kind=kind, capacity=_checked_capacity(capacity))
    if engine is not None and kind == Host.Kind.DOCKER:
        _reach(host, _checked(engine))
        host.engine = _tried(host).to_json()
        host.last_contact_at = clock.now()
    with transaction.atomic():
        _create(host)
        audit.record(
            actor,
            "host.add",
            subjects.of_host(host),
            name=name,
            kind=kind,
            address=host.address,
            publish_address=host.publish_address,
        )
        live.changed("fleet", host.revision)
        # A rollout may have been waiting for room.
        wakeups.gateway_acknowledged(place.pk)
    return host


def edit(
    *,
    actor: Actor,
    host_id: str,
    revision: int,
    capacity: int | None = None,
    publish_address: str | None = None,
    credentials: Credentials | None = None,
) -> Host:
    """Change what is given. Replicas that run stay where their ports are published; when it
    concerns how the Engine is reached, it is asked first.

    Raises:
        NotFound, NotAllowed, Stale.
        Invalid: as `add`; `unexpected_address` for a host that has no Engine.
    """
    host = gate.host_for(actor, host_id)
    authorize.require(actor, "host.edit", subjects.of_host(host))
    fields: dict[str, object] = {}
    if capacity is not None:
        fields["capacity"] = _checked_capacity(capacity)
    if publish_address is not None or credentials is not None:
        fields |= _edited_engine(host, publish_address, credentials)
    secret = {"sealed_tls", "engine"}
    before = {name: getattr(host, name) for name in fields.keys() - secret}
    with transaction.atomic():
        changes.write(host, revision, **fields)
        audit.record(
            actor,
            "host.edit",
            subjects.of_host(host),
            before=before,
            after={name: value for name, value in fields.items() if name not in secret},
            new_credentials=credentials is not None,
        )
        live.changed("fleet", host.revision)
        wakeups.gateway_acknowledged(host.environment_id)
    return host


def replace_replicas(*, actor: Actor, host_id: str, reason: str = "") -> int:
    """Give up the replicas of a silent host: each is replaced on another one. They may still run;
    what is left of them when the host comes back is ended. How many there were.

    Raises:
        NotFound, NotAllowed.
        Conflict: `host:answers`, it is not silent.
    """
    host = gate.host_for(actor, host_id)
    authorize.require(actor, "host.replace", subjects.of_host(host))
    if environments.host_state(host) == "ok":
        raise Conflict(
            f"The host {host.name!r} answers, so nothing on it needs to be given up; to empty it,"
            " roll its endpoints to other hosts.",
            code="host:answers",
        )
    with transaction.atomic():
        copies = Replica.objects.select_related("release__endpoint").filter(
            host=host, state__in=Replica.PRESENT
        )
        given_up = [copy for copy in copies if _give_up(copy, host)]
        audit.record(
            actor,
            "host.replace",
            subjects.of_host(host),
            name=host.name,
            reason=reason,
            replicas=[copy.public_id for copy in given_up],
        )
        endpoints = {copy.release.endpoint_id: copy.release.endpoint for copy in given_up}
        for endpoint in endpoints.values():
            wakeups.wake_endpoint(endpoint.pk)
            live.changed(f"endpoint:{endpoint.public_id}", 0)
        live.changed("fleet", host.revision)
    return len(given_up)


def remove(*, actor: Actor, host_id: str, revision: int) -> None:
    """Forget a host on which nothing runs. Its row stays for the history of its replicas.

    Raises:
        NotFound, NotAllowed, Stale.
        Conflict: `host:has-replicas`.
    """
    host = gate.host_for(actor, host_id)
    authorize.require(actor, "host.remove", subjects.of_host(host))
    with transaction.atomic():
        # The row is claimed first: a replica that is placed meanwhile finds the host gone or is
        # found here. Nobody asks a removed host anything, so nobody needs its credentials.
        changes.write(host, revision, removed_at=clock.now(), sealed_tls="")
        running = Replica.objects.filter(host=host, state__in=Replica.PRESENT).count()
        if running:
            raise Conflict(
                f"{running} replica(s) still run on the host {host.name!r}; roll their endpoints"
                " to other hosts first.",
                code="host:has-replicas",
                extra={"replicas": running},
            )
        audit.record(actor, "host.remove", subjects.of_host(host), name=host.name)
        live.changed("fleet", host.revision)


def _require_kind(kind: str, engine: Engine | None) -> None:
    if kind not in Host.Kind.values:
        sentence = f"There is no kind {kind[:40]!r}; one of {', '.join(Host.Kind.values)}."
        raise changes.wrong("kind", "unknown_choice", sentence)
    if kind == Host.Kind.PROCESS and not settings.CONFIG.process_hosts_allowed:
        raise NotAllowed(
            "Hosts of kind process share this machine's account and are only for the embedded"
            " profile; add a Docker host.",
            code="host:kind-not-allowed",
        )
    if kind == Host.Kind.PROCESS and engine is not None:
        raise _no_address()
    if kind == Host.Kind.DOCKER and engine is None:
        raise changes.wrong("address", "required", engines.FORMS)


def _no_address() -> Invalid:
    sentence = "A host of kind process is this machine and has no address."
    return changes.wrong("address", "unexpected_address", sentence)


def _checked_capacity(capacity: int) -> int:
    if not 1 <= capacity <= MAX_CAPACITY:
        raise changes.wrong("capacity", "out_of_bounds", f"This is 1 to {MAX_CAPACITY}.")
    return capacity


def _checked(engine: Engine) -> Engine:
    """With a publish address.

    Raises:
        Invalid: `invalid_address`, `plain_transport`, `unexpected_credentials`,
            `invalid_credentials`, `invalid_publish_address`.
    """
    try:
        address = engines.parse(engine.address)
    except engines.BadAddress as problem:
        raise changes.wrong("address", "invalid_address", str(problem)) from None
    _require_safe(address, engine.credentials)
    publish = engine.publish_address or engines.publish_default(address)
    _require_publishable(publish, address)
    return Engine(engine.address, publish, engine.credentials)


def _require_publishable(publish: str, address: engines.EngineAddress) -> None:
    problem = engines.publish_problem(publish, address)
    if problem is not None:
        raise changes.wrong("publish_address", "invalid_publish_address", problem)


def _require_safe(address: engines.EngineAddress, credentials: Credentials | None) -> None:
    if credentials is not None and address.kind != "tcp":
        sentence = "Only an Engine over TCP takes certificates; others are reached as they are."
        raise changes.wrong("tls", "unexpected_credentials", sentence)
    if credentials is None and not adapters.may_be_plain(address):
        raise changes.wrong(
            "tls",
            "plain_transport",
            "Over TCP an Engine of another machine is reached with mutual TLS only: whoever reads"
            " or changes what is said to it is root there.",
        )
    if credentials is not None:
        try:
            docker_dial.context_of(credentials)
        except (ValueError, ssl.SSLError) as problem:
            raise changes.wrong(
                "tls",
                "invalid_credentials",
                f"These are no certificate, its key and an authority in PEM: {problem}"[:300],
            ) from None


def _edited_engine(
    host: Host, publish_address: str | None, credentials: Credentials | None
) -> dict[str, object]:
    if host.kind != Host.Kind.DOCKER:
        raise _no_address()
    publish = host.publish_address if publish_address is None else publish_address
    if credentials is None:
        _require_publishable(publish, engines.parse(host.address))
        return {"publish_address": publish}
    _reach(host, _checked(Engine(host.address, publish, credentials)))
    return {
        "publish_address": host.publish_address,
        "sealed_tls": host.sealed_tls,
        "engine": _tried(host).to_json(),
    }


def _reach(host: Host, engine: Engine) -> None:
    host.address, host.publish_address = engine.address, engine.publish_address
    host.sealed_tls = adapters.seal(host, engine.credentials)


def _tried(host: Host) -> HostFacts:
    """What the Engine says of itself. Outside of every transaction.

    Raises:
        Invalid: `engine_not_reached`, `engine_without_limits`.
    """
    database.let_go()
    try:
        facts = adapters.connect(host).facts()
    except (HostSilent, HostRefused) as problem:
        raise changes.wrong("address", "engine_not_reached", problem.detail) from problem
    if facts.unbounded:
        what = " and ".join(facts.unbounded)
        sentence = f"The Engine's kernel cannot bound the {what} of a container."
        raise changes.wrong("address", "engine_without_limits", sentence)
    return facts


def _give_up(copy: Replica, host: Host) -> bool:
    return compare_and_set(
        copy,
        revision=copy.revision,
        state=Replica.State.FAILED,
        ended_at=clock.now(),
        failure=fleet.abandoned(host.name),
    )


def _create(host: Host) -> None:
    place: Environment = host.environment
    try:
        with transaction.atomic():
            host.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            f"The environment {place.name!r} already has a host {host.name!r}.",
            code="host:name-taken",
        ) from None
