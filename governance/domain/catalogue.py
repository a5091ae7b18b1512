"""Every action there is: its name, what it is called, who holds it, which token scopes reach it.

An action that is not listed here cannot be declared, allowed or recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from governance.domain.roles import (
    ADMINS,
    ENGINEERS,
    EVERY_ROLE,
    OPERATORS,
    OVERSEERS,
    REVIEWERS,
    ROLLERS,
    STEWARDS,
    Role,
)

# What an entry point declares when it asks nobody who they are, and when being signed in is enough.
PUBLIC = "public"
SIGNED_IN = "me.read"


class TokenScope(StrEnum):
    """What a token may be narrowed to. Approving is absent: no token ever approves."""

    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    ROLLOUTS_READ = "rollouts:read"
    ROLLOUTS_WRITE = "rollouts:write"
    KEYS_WRITE = "keys:write"
    ENVIRONMENTS_WRITE = "environments:write"
    AUDIT_READ = "audit:read"
    ADMIN = "admin"


DEFAULT_SCOPES = (TokenScope.MODELS_READ, TokenScope.ROLLOUTS_READ)

_READ_MODELS = frozenset({TokenScope.MODELS_READ, TokenScope.MODELS_WRITE})
_WRITE_MODELS = frozenset({TokenScope.MODELS_WRITE})
_READ_ROLLOUTS = frozenset({TokenScope.ROLLOUTS_READ, TokenScope.ROLLOUTS_WRITE})
_WRITE_ROLLOUTS = frozenset({TokenScope.ROLLOUTS_WRITE})
_WRITE_KEYS = frozenset({TokenScope.KEYS_WRITE})
_WRITE_ENVIRONMENTS = frozenset({TokenScope.ENVIRONMENTS_WRITE})
# Names of teams and environments are needed to read or write anything at all.
_READ_PLACES = _READ_MODELS | _READ_ROLLOUTS | _WRITE_KEYS | _WRITE_ENVIRONMENTS
_ADMIN_ONLY: frozenset[TokenScope] = frozenset()


@dataclass(frozen=True, slots=True)
class Action:
    """`scopes` are the token scopes that reach it besides `admin`.

    `anywhere`: a role in any scope is enough, because the thing lies in none (the list of teams,
    one's own tokens). `by_system`: Slipway itself does it. `by_token`: False for what only a
    person in a session may do.
    """

    name: str
    title: str
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[TokenScope] = _ADMIN_ONLY
    anywhere: bool = False
    by_system: bool = False
    by_token: bool = True


def _loop(name: str, title: str) -> Action:
    """Something that only Slipway itself does, and records."""
    return Action(name, title, by_system=True, by_token=False)


_ACTIONS = (
    Action(SIGNED_IN, "See one's own account", EVERY_ROLE, _READ_PLACES, anywhere=True),
    # Teams and members
    Action("team.read", "See teams", EVERY_ROLE, _READ_PLACES, anywhere=True),
    Action("team.create", "Create a team", ADMINS),
    Action("team.edit", "Rename a team", ADMINS),
    Action("member.read", "See who holds which role", OVERSEERS),
    Action("member.grant", "Grant a role", ADMINS, by_system=True),
    Action("member.revoke", "Revoke a role", ADMINS, by_system=True),
    Action("account.create", "Create an account", ADMINS, by_system=True),
    Action("account.disable", "Disable an account", ADMINS, by_system=True),
    Action("account.login_link", "Make a one-time login link", by_system=True, by_token=False),
    Action("account.signed_in", "Sign in", by_system=True, by_token=False),
    # Tokens: one's own; other people's tokens are the administrators' to revoke.
    Action("token.read", "See one's API tokens", EVERY_ROLE, anywhere=True),
    Action("token.create", "Create an API token", EVERY_ROLE, anywhere=True, by_system=True),
    Action("token.revoke", "Revoke an API token", EVERY_ROLE, anywhere=True, by_system=True),
    Action("token.revoke_any", "Revoke another account's token", ADMINS, by_system=True),
    # Registry
    Action("model.read", "See models and versions", EVERY_ROLE, _READ_MODELS | _READ_ROLLOUTS),
    Action("model.create", "Create a model", ENGINEERS, _WRITE_MODELS),
    Action("model.edit", "Edit a model", ENGINEERS, _WRITE_MODELS),
    Action("version.create", "Register a version", ENGINEERS, _WRITE_MODELS),
    Action("version.download", "Download an artifact", ENGINEERS, _READ_MODELS),
    Action("alias.move", "Move an alias", ENGINEERS, _WRITE_MODELS),
    # Where things run
    Action(
        "environment.read",
        "See environments",
        EVERY_ROLE,
        _READ_PLACES,
        anywhere=True,
        by_system=True,
    ),
    Action("environment.create", "Create an environment", OPERATORS, _WRITE_ENVIRONMENTS),
    Action("environment.edit", "Edit an environment", OPERATORS, _WRITE_ENVIRONMENTS),
    Action("host.add", "Add a host", OPERATORS, _WRITE_ENVIRONMENTS, by_system=True),
    Action("host.edit", "Edit a host", OPERATORS, _WRITE_ENVIRONMENTS),
    Action("host.replace", "Replace a silent host's replicas", OPERATORS, _WRITE_ENVIRONMENTS),
    Action("host.remove", "Remove a host", OPERATORS, _WRITE_ENVIRONMENTS, by_system=True),
    Action("gateway.add", "Register a gateway", OPERATORS, _WRITE_ENVIRONMENTS, by_system=True),
    Action("gateway.remove", "Remove a gateway", OPERATORS, _WRITE_ENVIRONMENTS, by_system=True),
    # What runs
    Action(
        "endpoint.read",
        "See endpoints, rollouts and their traffic",
        EVERY_ROLE,
        _READ_ROLLOUTS | _WRITE_KEYS,
    ),
    Action("endpoint.logs", "Read the logs of replicas", ROLLERS, _READ_ROLLOUTS),
    Action("endpoint.scale", "Change the number of replicas", ROLLERS, _WRITE_ROLLOUTS),
    Action("endpoint.rollback", "Roll back", ROLLERS, _WRITE_ROLLOUTS),
    Action("rollout.start", "Start a rollout", ENGINEERS, _WRITE_ROLLOUTS),
    Action("rollout.pause", "Pause a rollout", ROLLERS, _WRITE_ROLLOUTS),
    Action("rollout.resume", "Resume a rollout", ROLLERS, _WRITE_ROLLOUTS),
    Action("rollout.promote", "Promote a rollout", ENGINEERS, _WRITE_ROLLOUTS),
    Action("rollout.abort", "Abort a rollout", ROLLERS, _WRITE_ROLLOUTS),
    # Images
    Action("image.read", "See images and how they were built", EVERY_ROLE, _READ_ROLLOUTS),
    Action(
        "image.collect",
        "Remove images that nothing needs",
        OPERATORS,
        _WRITE_ENVIRONMENTS,
        by_system=True,
    ),
    # Who may ask what runs
    Action(
        "key.read",
        "See the keys of endpoints and what they use",
        EVERY_ROLE,
        _READ_ROLLOUTS | _WRITE_KEYS,
    ),
    Action("key.issue", "Issue a key", ROLLERS, _WRITE_KEYS),
    Action("key.edit", "Change the limits and the endpoints of a key", ROLLERS, _WRITE_KEYS),
    Action("key.rotate", "Replace a key by a new one", ROLLERS, _WRITE_KEYS),
    Action("key.revoke", "Revoke a key", ROLLERS, _WRITE_KEYS),
    Action("endpoint.open", "Let everybody ask an endpoint", STEWARDS, _WRITE_KEYS),
    Action("endpoint.close", "Ask everybody for a key again", ROLLERS, _WRITE_KEYS),
    # Governance
    Action("audit.read", "Read the audit log", OVERSEERS, frozenset({TokenScope.AUDIT_READ})),
    Action("approval.decide", "Approve or reject", REVIEWERS, by_token=False),
    # What the loops do by themselves
    _loop("rollout.reconcile", "Take a rollout one step further"),
    _loop("rollout.advance", "Move a rollout to its next step"),
    _loop("rollout.switch", "Switch the traffic of an endpoint"),
    _loop("rollout.finish", "End a rollout"),
    _loop("rollout.sweep", "Find the rollouts that are due"),
    _loop("endpoint.reconcile", "Keep an endpoint's replicas as they should be"),
    _loop("image.build", "Build the image of a version"),
    _loop("image.copy", "Bring an image to a host"),
    _loop("replica.start", "Start a replica"),
    _loop("replica.stop", "Stop a replica"),
    _loop("replica.fail", "Take note that a replica failed"),
    _loop("orphan.remove", "Remove what belongs to nothing"),
    _loop("routes.publish", "Publish routes to the gateways"),
    _loop("traffic.collect", "Collect the replicas' reports"),
    _loop("retention.sweep", "Delete what is past its time"),
    # What an operator does from this machine's command line
    _loop("artifact.encrypt", "Encrypt artifacts that were stored plain"),
    _loop("artifact.rewrap", "Wrap the keys of artifacts by a new key"),
    _loop("certificate.issue", "Issue a certificate of the internal authority"),
    _loop("system.operate", "Run Slipway's own programs from this machine's command line"),
)

CATALOGUE: dict[str, Action] = {action.name: action for action in _ACTIONS}


def is_declarable(name: str) -> bool:
    """Whether an entry point may say that it does this."""
    return name == PUBLIC or name in CATALOGUE
