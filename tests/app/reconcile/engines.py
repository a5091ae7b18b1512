"""Docker hosts with fake Engines, beside the world of `conftest.Site`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pytest

from core import clock
from deployments.adapters import artifact_store, hosts
from deployments.models import Build, Environment, Host, Image, Rollout
from deployments.ports import HostSilent
from deployments.reconcile import builds, image_work, keeper
from tests.app.reconcile.conftest import Site
from tests.fakes.image_store import FakeImageStore, FakeRegistry

CIPHERTEXT = b"what nobody can read without the key"


@dataclass
class Engines:
    """`stores` by the host's row id; hosts of one `registry` push to and pull from it."""

    site: Site
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    stores: dict[str, FakeImageStore] = field(default_factory=dict)

    def add(self, name: str, *, environment: Environment | None = None, base: bool = True) -> Host:
        store = FakeImageStore(registry=self.registry)
        if not base:
            store.bases.clear()
        host = Host.objects.create(
            environment=environment or self.site.environment,
            name=name,
            kind="docker",
            address=f"tcp://{name}:2376",
            engine={"base_id": next(iter(store.bases), "")},
            last_contact_at=clock.now(),
        )
        self.stores[host.pk] = store
        return host

    def of(self, host: Host) -> FakeImageStore:
        return self.stores[host.pk]

    def heard(self, *silent: Host) -> None:
        """Every Engine has answered just now, but these."""
        for pk, store in self.stores.items():
            store.silent = pk in {host.pk for host in silent}
            if not store.silent:
                Host.objects.filter(pk=pk).update(last_contact_at=clock.now())

    def work(self) -> int:
        """What workers do with everything that is due now; how much that was."""
        done = 0
        while due := list(builds._due(clock.now()).values_list("pk", flat=True)):
            for build_id in due:
                image_work.work(build_id)
                done += 1
        return done

    def image(self) -> Image:
        return Image.objects.get()

    def started(self, version: int = 1) -> Rollout:
        return self.site.start(version)


@pytest.fixture
def engines(site: Site, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Engines:
    """No host yet; the process host of the site is gone."""
    site.host_row.removed_at = clock.now()
    site.host_row.save()
    found = Engines(site)

    def image_store(host: Host) -> FakeImageStore:
        if host.pk not in found.stores:
            raise HostSilent("not one of the fakes")
        return found.stores[host.pk]

    @contextmanager
    def ciphertext(digest: str) -> Iterator[BinaryIO]:
        yield io.BytesIO(CIPHERTEXT)

    monkeypatch.setattr(hosts, "image_store", image_store)
    monkeypatch.setattr(hosts, "connect", lambda host: site.host)
    monkeypatch.setattr(artifact_store, "ciphertext", ciphertext)
    # The thread beside a build writes in a connection of its own, which a test's transaction hides.
    monkeypatch.setattr(keeper, "_TURN_SECONDS", 3600.0)
    settings.CONFIG = settings.CONFIG.model_copy(update={"registry": ""})
    return found


def configure(settings: Any, **changed: Any) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update=changed)


def states(image: Image) -> list[tuple[str, str, str]]:
    """Kind, host and state of everything that was ever done for the image."""
    rows = Build.objects.filter(image=image).select_related("host").order_by("pk")
    return [(row.kind, row.host.name, row.state) for row in rows]


def holders(image: Image) -> set[str]:
    return set(image.copies.values_list("host__name", flat=True))


__all__ = ["Engines", "configure", "engines", "holders", "states"]
