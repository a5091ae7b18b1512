"""Made-up values for the style guide: every component in every state, without a database."""

from __future__ import annotations

from datetime import timedelta
from math import sin

from core import clock
from frontend.cards import (
    ActionCard,
    DoorCard,
    EndpointCard,
    Evidence,
    Figures,
    FleetRow,
    ReplicaRow,
    RolloutCard,
    Share,
    StepCard,
    TimelineRow,
)
from frontend.sparkline import sparkline
from frontend.words import badge_of, step_icon

BADGES = (
    ("Endpoints", ("serving", "degraded", "down", "empty")),
    (
        "Rollouts",
        (
            "waiting",
            "progressing",
            "baking",
            "paused",
            "stuck",
            "promoted",
            "observed",
            "reverted",
            "failed",
        ),
    ),
    ("Replicas", ("starting", "ready", "stopping", "stopped")),
    ("Machines", ("ok", "silent", "unknown")),
    ("Tokens", ("active", "expired", "revoked")),
)

COLOURS = (
    ("surface-page", "text"),
    ("surface", "text"),
    ("surface-sunken", "text-muted"),
    ("accent-soft", "accent-text"),
    ("ok-soft", "ok-text"),
    ("warn-soft", "warn-text"),
    ("danger-soft", "danger-text"),
    ("idle-soft", "idle-text"),
)

_LOG = """12:04:31 loading /artifacts/sha256-41c7…
12:04:31 session created with 1 thread
12:04:32 error: node Scaler_2: tensor shapes do not agree, (30) and (31)
12:04:32 exit 4"""


def actions() -> list[ActionCard]:
    return [
        ActionCard(
            "promote",
            "Promote",
            "skip-forward",
            "#",
            effect="The rest of the bake is skipped; version 1 begins to drain.",
            primary=True,
        ),
        ActionCard("pause", "Pause", "pause", "#", effect="The rollout stands still."),
        ActionCard("resume", "Resume", "play", "#", disabled="The rollout is not paused."),
        ActionCard(
            "abort",
            "Abort",
            "octagon-x",
            "#",
            effect="All traffic returns to version 1 in about a second.",
            danger=True,
        ),
    ]


def endpoint() -> EndpointCard:
    return EndpointCard(
        id="end_EXAMPLE",
        topic="",
        frames="",
        name="tumour",
        environment="staging",
        is_production=False,
        badge=badge_of("baking"),
        sentence="Baking version 2: 18 s left, version 1 is kept warm.",
        address="http://127.0.0.1:8080/v2/models/tumour",
        command="slipway status tumour -e staging --watch",
        deploy="slipway deploy tumour -e staging",
        figures=Figures(50.2, 0.0, 2.1, 4.6, 8.8),
        shares=[Share("version 2", 100, 0, 2, 0), Share("version 1", 0, 0, 1, 100)],
        actions=actions(),
        rollout=_rollout(),
        replicas=_replicas(),
        timeline=_timeline(),
        door=_door(),
    )


def fleet_rows() -> list[FleetRow]:
    now = clock.now()
    rates = [40 + 12 * sin(index / 3) for index in range(30)]
    return [
        FleetRow(
            id="end_A",
            name="fraud",
            environment="production",
            is_production=True,
            url="#",
            badge=badge_of("stuck"),
            sentence="The gateway edge-2 does not answer. The rollout goes on when it does.",
            needs_human=True,
            moving=True,
            live="version 7",
            figures=Figures(requests=412.0, error_share=0.0004, p95=12.1),
            sparkline=sparkline(rates),
            since=now - timedelta(minutes=4),
        ),
        FleetRow(
            id="end_B",
            name="tumour",
            environment="staging",
            is_production=False,
            url="#",
            badge=badge_of("serving"),
            sentence="All traffic on version 2.",
            needs_human=False,
            moving=False,
            live="version 2",
            figures=Figures(requests=50.2, error_share=0.0, p95=4.6),
            sparkline=sparkline(list(reversed(rates))),
            since=now - timedelta(hours=3),
        ),
    ]


def _door() -> DoorCard:
    close = ActionCard("close", "Ask for keys again", "lock", "#", effect="Keys are asked for.")
    return DoorCard(is_open=True, action=close, keys_url="#", issue_command="slipway keys issue")


def _rollout() -> RolloutCard:
    steps = (
        ("Replicas ready", "done"),
        ("0 % of traffic", "done"),
        ("100 % of traffic", "done"),
        ("Bake 30 s", "current"),
        ("Drain", "todo"),
    )
    return RolloutCard(
        id="rol_EXAMPLE",
        number=4,
        title="version 1 → version 2, blue-green",
        badge=badge_of("baking"),
        sentence="Baking version 2: 18 s left, version 1 is kept warm.",
        steps=[StepCard(label, state, step_icon(state)) for label, state in steps],
        created_at=clock.now() - timedelta(seconds=40),
        created_by="alice",
        acknowledged=["edge-1 acknowledged the switch after 21 ms"],
    )


def _replicas() -> list[ReplicaRow]:
    now = clock.now()
    ready, failed = badge_of("ready"), badge_of("failed")
    return [
        ReplicaRow("rep_1", "version 2", "local", ready, "127.0.0.1:40321", now, ink=2),
        ReplicaRow("rep_2", "version 1", "local", ready, "127.0.0.1:40117", now, ink=1),
        ReplicaRow("rep_3", "version 3", "local", failed, "", None, "It ended with code 4.", 3),
    ]


def _timeline() -> list[TimelineRow]:
    now = clock.now()
    back = ActionCard(
        "rollback-1",
        "Roll back to version 1",
        "rotate-ccw",
        "#",
        effect="All traffic goes to version 1.",
    )
    return [
        TimelineRow(
            id="rol_2",
            number=3,
            title="version 2 → version 3",
            badge=badge_of("failed"),
            sentence="Failed (reverted): the model did not load in its replica.",
            comment="Retrained on the June table.",
            created_by="alice",
            created_at=now - timedelta(minutes=9),
            facts=("4.2 s",),
            evidence=(Evidence("Log of the replica, last lines", _LOG),),
        ),
        TimelineRow(
            id="rol_1",
            number=1,
            title="version 1",
            badge=badge_of("promoted"),
            sentence="Promoted.",
            comment="",
            created_by="alice",
            created_at=now - timedelta(hours=2),
            facts=("switched in 21 ms", "36 s in all"),
            rollback=back,
        ),
    ]
