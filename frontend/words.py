"""What people see of a state: a word, a tone and an icon. Colour never stands alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Badge:
    word: str
    tone: str
    icon: str


_TONES = {
    # endpoints
    "serving": ("Serving", "ok", "circle-check"),
    "empty": ("Nothing deployed", "idle", "circle-dashed"),
    "degraded": ("Degraded", "warn", "triangle-alert"),
    "down": ("Down", "danger", "octagon-x"),
    # rollouts
    "waiting": ("Waiting", "warn", "clock"),
    "progressing": ("In progress", "busy", "loader"),
    "paused": ("Paused", "warn", "circle-pause"),
    "stuck": ("Stuck", "warn", "triangle-alert"),
    "baking": ("Baking", "busy", "clock"),
    "promoted": ("Promoted", "ok", "circle-check"),
    "observed": ("Observed", "ok", "circle-check"),
    "reverted": ("Reverted", "idle", "rotate-ccw"),
    "failed": ("Failed", "danger", "circle-x"),
    # replicas
    "starting": ("Starting", "busy", "loader"),
    "ready": ("Ready", "ok", "circle-check"),
    "stopping": ("Stopping", "idle", "square"),
    "stopped": ("Stopped", "idle", "square"),
    # images and builds
    "queued": ("Queued", "idle", "clock"),
    "running": ("Running", "busy", "loader"),
    "succeeded": ("Succeeded", "ok", "circle-check"),
    "gone": ("Removed", "idle", "circle-dashed"),
    # hosts and gateways
    "ok": ("Answers", "ok", "circle-check"),
    "silent": ("Silent", "warn", "triangle-alert"),
    "unknown": ("Not seen yet", "idle", "circle-dashed"),
    # tokens and keys
    "active": ("Active", "ok", "circle-check"),
    "expiring": ("Expires soon", "warn", "clock"),
    "exhausted": ("Used up today", "warn", "triangle-alert"),
    "expired": ("Expired", "idle", "clock"),
    "revoked": ("Revoked", "idle", "circle-x"),
}

_STEP_ICONS = {
    "done": "check",
    "current": "circle-dot",
    "failed": "x",
    "skipped": "skip-forward",
    "todo": "circle-dashed",
}

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def badge_of(state: str) -> Badge:
    """Unknown states are shown as they are: a newer engine may know more of them."""
    word, tone, icon = _TONES.get(state, (state.replace("-", " ").capitalize(), "idle", "info"))
    return Badge(word, tone, icon)


def step_icon(state: str) -> str:
    return _STEP_ICONS.get(state, "circle-dashed")


def ago_words(seconds: float) -> str:
    """The same words as `times.js`, which keeps them true."""
    if seconds < 10:
        return "just now"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def duration_words(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
