"""The last snapshot that Envoy accepted, on disk.

It is read from Envoy's own configuration dump, not from what web has sent: what is there was
accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.gateway_launcher.files import read_json, write_private

CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SavedResources:
    version: str
    resources: list[dict[str, Any]]


Saved = Mapping[str, SavedResources]
"""By type url; a type that Envoy has not taken yet is missing."""


def from_config_dump(dump: Mapping[str, Any]) -> dict[str, SavedResources]:
    saved: dict[str, SavedResources] = {}
    for config in dump.get("configs", []):
        kind = config.get("@type", "").rpartition(".")[2]
        if kind == "ClustersConfigDump" and config.get("version_info"):
            saved[CLUSTER_TYPE] = SavedResources(config["version_info"], _clusters(config))
        elif kind == "RoutesConfigDump":
            for each in config.get("dynamic_route_configs", []):
                if each.get("version_info"):
                    routes = [each["route_config"]]
                    saved[ROUTE_TYPE] = SavedResources(each["version_info"], routes)
    return saved


def _clusters(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A cluster that is being replaced is listed twice; the warming one is the newer."""
    found = {}
    for part in ("dynamic_active_clusters", "dynamic_warming_clusters"):
        for each in config.get(part, []):
            found[each["cluster"]["name"]] = each["cluster"]
    return [found[name] for name in sorted(found)]


def load(path: Path) -> dict[str, SavedResources]:
    """Nothing where nothing readable is: a gateway must start whatever its disk holds."""
    content = read_json(path)
    if content is None or content.get("format") != _FORMAT:
        return {}
    try:
        return {
            type_url: SavedResources(each["version"], each["resources"])
            for type_url, each in content["types"].items()
        }
    except (KeyError, TypeError, AttributeError):
        return {}


def store(path: Path, saved: Saved) -> None:
    types = {
        type_url: {"version": each.version, "resources": each.resources}
        for type_url, each in saved.items()
    }
    write_private(path, {"format": _FORMAT, "types": types})
