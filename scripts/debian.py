"""Small images of Debian's packages, for a machine that can pull none."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from scripts.errors import CannotMake

CACHE = Path(__file__).resolve().parent.parent / "var" / "base-image"
# Never read in a container.
_SUPERFLUOUS = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log"),
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
)


def image(client: docker.DockerClient, repository: str, packages: str) -> str:
    """The name of an image with these packages, made with debootstrap unless it is there.

    Raises:
        CannotMake: no root, no debootstrap, or it failed.
    """
    mirror, suite = _debian()
    parts = [mirror, suite, packages, platform.machine(), *_SUPERFLUOUS]
    inputs = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    name = f"{repository}:{suite}-{inputs}"
    try:
        client.images.get(name)
    except ImageNotFound:
        archive = CACHE / f"{suite}-{inputs}.tar"
        if not archive.exists():
            _debootstrap(mirror, suite, packages, archive)
        client.api.import_image_from_file(
            str(archive), repository=repository, tag=name.partition(":")[2]
        )
    return name


def _debian() -> tuple[str, str]:
    """Where this machine gets its own packages from, and which release it is."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"],
        capture_output=True,
        text=True,
        check=True,
    )
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "bookworm")
    for line in listed.stdout.splitlines():
        uri, codename, component = line.split(maxsplit=2)
        if codename == suite and component == "main" and release.get("ID") == "debian":
            return uri, suite
    return "", "bookworm"  # debootstrap knows where


def _debootstrap(mirror: str, suite: str, packages: str, archive: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise CannotMake(
            "debootstrap is needed, and root (apt-get install debootstrap); or name an image with"
            " Python that this Engine has or can pull: make base-image BASE_IMAGE=python:3.12-slim"
        )
    print(f"· making a small Debian {suite} ({packages}); this takes a minute or two", flush=True)
    debs, tree = CACHE / "debs", CACHE / f"{archive.stem}.tree"
    debs.mkdir(parents=True, exist_ok=True)
    _clear(tree)
    log = CACHE / "debootstrap.log"
    options = ["--variant=minbase", f"--include={packages}", f"--cache-dir={debs}"]
    with log.open("wb") as said:
        command = ["debootstrap", *options, suite, str(tree), *([mirror] if mirror else [])]
        if subprocess.run(command, stdout=said, stderr=said, check=False).returncode != 0:
            raise CannotMake(f"debootstrap failed: {_last_line(log)} (see {log})")
    for superfluous in _SUPERFLUOUS:
        shutil.rmtree(tree / superfluous, ignore_errors=True)
    draft = archive.with_suffix(".draft")
    subprocess.run(
        ["tar", "-C", str(tree), "--numeric-owner", "--exclude=./dev/*", "-cf", str(draft), "."],
        check=True,
    )
    draft.replace(archive)
    _clear(tree)


def _clear(tree: Path) -> None:
    """One that was cut off may have left /proc mounted in there."""
    for mounted in ("proc", "sys", "dev/pts"):
        subprocess.run(["umount", "-l", str(tree / mounted)], capture_output=True, check=False)
    shutil.rmtree(tree, ignore_errors=True)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
