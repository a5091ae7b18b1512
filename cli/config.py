"""Where Slipway is and who we are there: the environment, else a file only its user reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.errors import NotLoggedIn


@dataclass(frozen=True, slots=True)
class Session:
    url: str
    token: str


def path(environ: Mapping[str, str] = os.environ) -> Path:
    if named := environ.get("SLIPWAY_CONFIG"):
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "slipway" / "config.json"


def load(environ: Mapping[str, str] = os.environ) -> Session:
    """Raises NotLoggedIn when the address or the token is known nowhere."""
    saved = _saved(path(environ))
    url = environ.get("SLIPWAY_URL") or saved.get("url") or ""
    token = environ.get("SLIPWAY_TOKEN") or ""
    if not token and url == saved.get("url"):
        token = saved.get("token") or ""  # a token is never sent to another address
    if not url or not token:
        lacking = "which Slipway to talk to" if not url else f"who you are at {url}"
        raise NotLoggedIn(f"It is not known {lacking}: log in, or set SLIPWAY_URL, SLIPWAY_TOKEN.")
    return Session(url, token)


def key_for(
    session: Session, environment: str, endpoint: str, environ: Mapping[str, str] = os.environ
) -> str:
    """The endpoint key to ask with: the environment's, else the kept one; empty when neither is
    there. Kept ones belong to one Slipway, as the token does."""
    if given := environ.get("SLIPWAY_ENDPOINT_KEY"):
        return given
    saved = _saved(path(environ))
    kept = saved.get("keys") if saved.get("url") == session.url else None
    found = kept.get(f"{environment}/{endpoint}") if isinstance(kept, dict) else None
    return found if isinstance(found, str) else ""


def keep_key(
    session: Session,
    environment: str,
    endpoints: Iterable[str],
    key: str,
    environ: Mapping[str, str] = os.environ,
) -> Path:
    """Keep a key for these endpoints beside the token."""
    saved = _saved(path(environ))
    if saved.get("url") != session.url:
        saved = asdict(session)
    keys = saved.get("keys")
    kept = dict(keys) if isinstance(keys, dict) else {}
    kept |= {f"{environment}/{endpoint}": key for endpoint in endpoints}
    return _write({**saved, "keys": kept}, environ)


def save(session: Session, environ: Mapping[str, str] = os.environ) -> Path:
    """Keep who we are, and the endpoint keys, if we stay at the same Slipway."""
    saved = _saved(path(environ))
    keys = saved.get("keys") if saved.get("url") == session.url else None
    return _write(asdict(session) | ({"keys": keys} if keys else {}), environ)


def _write(content: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    target = path(environ)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    draft.replace(target)
    return target


def _saved(source: Path) -> dict[str, Any]:
    try:
        content = json.loads(source.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
