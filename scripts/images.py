"""Slipway's own images, made without a registry where there is none.

    python -m scripts.images modelserver [--base IMAGE] [--tag slipway/modelserver:0.1.0]
    python -m scripts.images controlplane [--base IMAGE] [--envoy IMAGE]

The first is the image that versions' images are built on (`make base-image`); the second makes the
two that docker-compose.yml runs (`make images`). Unless a base is named, a stand-in for the
official Python image is made of Debian's packages (debootstrap, as root). Packages are fetched
here, by this machine's pip with this machine's configuration and certificates: the build itself
needs no network, and nothing of either gets into the image. What is there and made of the same is
kept.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import docker
from docker.errors import DockerException, ImageNotFound

from scripts import debian, wheels
from scripts.debian import CACHE
from scripts.errors import CannotMake

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
ENVOY = "envoyproxy/envoy:v1.40.0"
INPUTS = "slipway.inputs"
_BUILD_STAGE = {"dangling": True, "label": "slipway.stage=build"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: its Dockerfile, the stage in it, and the files that it is sent."""

    tag: str
    dockerfile: str
    requirements: str
    sources: tuple[str, ...]
    stage: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def modelserver(tag: str) -> Recipe:
    return Recipe(
        tag or f"slipway/modelserver:{VERSION}",
        "compose/modelserver.Dockerfile",
        "requirements/modelserver.txt",
        ("modelserver", "wire"),
    )


def controlplane(stage: str, envoy: str = ENVOY) -> Recipe:
    """`stage` is controlplane, or gateway: the same with Envoy in it."""
    packages = ("wire", "core", "modelserver", "governance", "deployments", "monitoring")
    return Recipe(
        f"slipway/{stage}:{VERSION}",
        "compose/controlplane.Dockerfile",
        "requirements/controlplane.txt",
        (
            *packages,
            *("frontend", "cli", "demo", "controlplane", "manage.py"),
            *("docs/reference", "compose/healthcheck.py"),
        ),
        stage,
        {"ENVOY_IMAGE": envoy},
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["modelserver", "controlplane"])
    parser.add_argument("--base", default=os.environ.get("BASE_IMAGE", ""), help="not Debian's")
    parser.add_argument("--tag", default=os.environ.get("SLIPWAY_BASE_IMAGE", ""))
    parser.add_argument("--envoy", default=ENVOY, help="the image that Envoy is taken from")
    given = parser.parse_args()
    recipes = [modelserver(given.tag)]
    if given.what == "controlplane":
        recipes = [controlplane(stage, given.envoy) for stage in ("controlplane", "gateway")]
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            client = docker.from_env(timeout=600)
            client.ping()
            base = given.base or stand_in(client)
            for recipe in recipes:
                _told(client, base, recipe)
            # Only now: the second recipe has its first stages in common with the first.
            for stage in client.images.list(filters=_BUILD_STAGE):
                client.images.remove(str(stage.id))
    except (DockerException, OSError, subprocess.CalledProcessError, CannotMake) as problem:
        print(f"The image could not be made: {problem}", file=sys.stderr)
        return 1
    return 0


def _told(client: docker.DockerClient, base: str, recipe: Recipe) -> None:
    began = time.monotonic()
    made = build(client, base, recipe)
    took = f"made in {time.monotonic() - began:.0f} s" if made else "was there"
    print(f"· {recipe.tag} {took}", flush=True)


def stand_in(client: docker.DockerClient) -> str:
    """The name of an image with Debian's Python, in place of the official Python image."""
    return debian.image(client, "slipway/python-of-debian", "python3,python3-venv,ca-certificates")


def build(client: docker.DockerClient, base: str, recipe: Recipe) -> bool:
    """Whether anything had to be made."""
    inputs = _inputs(client, base, recipe)
    try:
        if client.images.get(recipe.tag).labels.get(INPUTS) == inputs:
            return False
    except ImageNotFound:
        pass
    target = wheels.target(client, base)
    packages = wheels.fetched(ROOT / recipe.requirements, target, CACHE)
    print(f"· building {recipe.tag}", flush=True)
    _run_build(client, base, recipe, inputs, packages)
    return True


def _inputs(client: docker.DockerClient, base: str, recipe: Recipe) -> str:
    """Names everything that the image is made of."""
    seen = hashlib.sha256(f"{_id_of(client, base)} {recipe.stage}\n".encode())
    if recipe.stage == "gateway":
        seen.update(_id_of(client, recipe.arguments["ENVOY_IMAGE"]).encode())
    for path in _files(recipe):
        seen.update(
            f"{path.relative_to(ROOT)}:".encode() + hashlib.sha256(path.read_bytes()).digest()
        )
    return seen.hexdigest()


def _id_of(client: docker.DockerClient, base: str) -> str:
    try:
        return str(client.images.get(base).id)
    except ImageNotFound:
        print(f"· pulling {base}", flush=True)
        return str(client.images.pull(base).id)


def _run_build(
    client: docker.DockerClient, base: str, recipe: Recipe, inputs: str, packages: Path
) -> None:
    with tempfile.TemporaryFile(dir=CACHE) as context:
        _write_context(context, recipe, packages)
        context.seek(0)
        said: list[str] = []
        for event in client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=recipe.dockerfile,
            target=recipe.stage or None,
            buildargs={"BASE_IMAGE": base, **recipe.arguments},
            labels={INPUTS: inputs},
            tag=recipe.tag,
            rm=True,
            forcerm=True,
            decode=True,
        ):
            said.append(str(event.get("stream", "")))
            if "error" in event:
                raise CannotMake(f"{event['error']}\n{''.join(said[-20:])}")


def _write_context(into: IO[bytes], recipe: Recipe, packages: Path) -> None:
    """Without times and owners of this machine."""
    with tarfile.open(fileobj=into, mode="w") as archive:
        for path in _files(recipe):
            archive.add(path, path.relative_to(ROOT), filter=_plain)
        for wheel in sorted(packages.glob("*.whl")):
            archive.add(wheel, f"wheels/{wheel.name}", filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _files(recipe: Recipe) -> Iterator[Path]:
    for name in (recipe.dockerfile, recipe.requirements, *recipe.sources):
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (it for it in found if it.is_file() and "__pycache__" not in it.parts)


if __name__ == "__main__":
    sys.exit(main())
