"""What lies behind a reason, in the order in which people look: the log, the probes, the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from deployments.selectors.cards import ReasonRow
from frontend.cards import Evidence

_TITLES = {
    "log_tail": "Log of the replica, last lines",
    "build_log": "Log of the build, last lines",
    "last_probe": "Last readiness probe",
    "probes": "Readiness probes",
    "exit_code": "Exit code",
    "reason": "Reason given",
    "was_ready": "Was ever ready",
}
_FIRST = ("log_tail", "build_log", "probes", "last_probe")
# What a log line says besides its message is the same in every line of a replica.
_KNOWN = frozenset({"at", "event", "message", "name", "pid", "release", "boot_id"})


def texts(reason: ReasonRow | None) -> list[Evidence]:
    """What is worth a box of its own."""
    return [
        Evidence(_title(name), _text(name, value)) for name, value in _sorted(reason, long=True)
    ]


def facts(reason: ReasonRow | None) -> list[tuple[str, str]]:
    """What fits on one line, the code of the reason first."""
    if reason is None or not texts(reason):
        return []
    short = [(_title(name), _text(name, value)) for name, value in _sorted(reason, long=False)]
    return [("Code", reason.code), *short]


def _sorted(reason: ReasonRow | None, *, long: bool) -> list[tuple[str, object]]:
    if reason is None:
        return []
    found = [
        (name, value)
        for name, value in reason.evidence.items()
        if value not in (None, "", {}, []) and name != "code" and _is_long(name, value) is long
    ]
    return sorted(found, key=lambda item: _FIRST.index(item[0]) if item[0] in _FIRST else 9)


def _is_long(name: str, value: object) -> bool:
    if name in _FIRST or isinstance(value, dict | list):
        return True
    return "\n" in str(value) or len(str(value)) > 120


def _title(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _text(name: str, value: object) -> str:
    if name == "log_tail":
        return "\n".join(_log_line(line) for line in str(value).splitlines())
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _log_line(line: str) -> str:
    """A replica logs one JSON object a line; anything else is shown as it is."""
    try:
        entry = json.loads(line)
        at = datetime.fromtimestamp(float(entry["at"]), UTC).strftime("%H:%M:%S.%f")[:12]
        rest = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _KNOWN)
        return " ".join(part for part in (at, entry["event"], entry.get("message"), rest) if part)
    except (ValueError, TypeError, KeyError):
        return line
