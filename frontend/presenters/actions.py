"""The buttons of an endpoint: always the same five, disabled with the reason when they cannot."""

from __future__ import annotations

from collections.abc import Mapping

from django.urls import reverse

from deployments.selectors.cards import EndpointCard as Card
from deployments.selectors.cards import RolloutCard
from frontend.cards import ActionCard

_NOTHING_MOVES = "No rollout is in progress."
_VERBS = (
    ("promote", "Promote", "skip-forward"),
    ("pause", "Pause", "pause"),
    ("resume", "Resume", "play"),
    ("abort", "Abort", "octagon-x"),
)


def of_endpoint(card: Card, back_to: int | None) -> list[ActionCard]:
    """`back_to` is the version that rolling back would return to."""
    verbs = [_verb(card, name, title, icon) for name, title, icon in _VERBS]
    return [*verbs, roll_back(card, back_to)]


def roll_back(card: Card, version: int | None) -> ActionCard:
    title = "Roll back" if version is None else f"Roll back to version {version}"
    return ActionCard(
        name="rollback",
        title=title,
        icon="rotate-ccw",
        url=reverse("rollback", args=[card.environment, card.name]),
        effect=_back(card, version),
        disabled=card.cannot_roll_back,
        danger=True,
    )


def roll_back_to(card: Card, rollout: RolloutCard) -> ActionCard:
    """On a row of the timeline: to the release that it promoted, whatever its version is now."""
    return ActionCard(
        name="rollback",
        title=f"Roll back to version {rollout.target.version}",
        icon="rotate-ccw",
        url=reverse("rollback", args=[card.environment, card.name]),
        effect=_back(card, rollout.target.version),
        disabled=card.cannot_roll_back,
        hidden={"to": rollout.target.release},
        dialog_id=f"dialog-rollback-{rollout.number}",
    )


def _verb(card: Card, name: str, title: str, icon: str) -> ActionCard:
    rollout = card.active_rollout
    if rollout is None:
        return ActionCard(name, title, icon, "", disabled=_NOTHING_MOVES)
    return ActionCard(
        name=name,
        title=title,
        icon=icon,
        url=reverse(f"rollout-{name}", args=[rollout.id]),
        effect=_effects(rollout)[name],
        disabled=rollout.disabled_actions.get(name, ""),
        danger=name == "abort",
        primary=name == "promote",
        hidden={"generation": str(rollout.generation)},
    )


def _effects(rollout: RolloutCard) -> Mapping[str, str]:
    target, stable = f"version {rollout.target.version}", rollout.stable
    back = (
        f"All traffic returns to version {stable.version} in about a second; its replicas are warm."
        if stable
        else "This is the first rollout here: the endpoint will serve nothing."
    )
    return {
        "promote": f"The wait is skipped: {target} becomes the stable release"
        + (f" and version {stable.version} begins to drain." if stable else "."),
        "pause": "The rollout stands still where it is. Failures are still acted upon.",
        "resume": "The rollout goes on from where it stands.",
        "abort": f"{back} The replicas of {target} are stopped.",
    }


def _back(card: Card, version: int | None) -> str:
    if version is None:
        return "Traffic returns to the release before the current one."
    warm = any(copy.version == version and copy.state == "ready" for copy in card.replica_list)
    if warm:
        return f"All traffic goes to version {version} in about a second; its replicas are warm."
    return (
        f"Replicas of version {version} start first; once they have answered, all traffic goes to "
        "them. That takes a few seconds and drops no request."
    )
