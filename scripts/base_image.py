"""`make base-image`: the image that versions' images are built on, without a registry.

    python scripts/base_image.py [--base IMAGE] [--tag slipway/modelserver:0.1.0]

Makes a stand-in for the official Python image from Debian's packages (debootstrap, as root), keeps
it in var/base-image, and builds compose/modelserver.Dockerfile on it. Packages are fetched here, by
this machine's pip with this machine's configuration and certificates: the build itself needs no
network, and nothing of either gets into the image. What is there and made of the same is kept.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import docker
from docker.errors import DockerException, ImageNotFound
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "var" / "base-image"
DOCKERFILE = "compose/modelserver.Dockerfile"
REQUIREMENTS = "requirements/modelserver.txt"
SOURCES = (DOCKERFILE, REQUIREMENTS, "modelserver", "wire")

STAND_IN = "slipway/python-of-debian"
PACKAGES = "python3,python3-venv,ca-certificates"
# Never read in a container.
_SUPERFLUOUS = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log"),
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
)
INPUTS = "slipway.inputs"
_BUILD_STAGE = {"dangling": True, "label": "slipway.stage=build"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--base", default=os.environ.get("BASE_IMAGE", ""), help="not Debian's")
    parser.add_argument("--tag", default=os.environ.get("SLIPWAY_BASE_IMAGE", ""))
    given = parser.parse_args()
    tag = given.tag or "slipway/modelserver:0.1.0"
    began = time.monotonic()
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            client = docker.from_env(timeout=600)
            client.ping()
            made = build(client, given.base or stand_in(client), tag)
    except (DockerException, OSError, subprocess.CalledProcessError, CannotMake) as problem:
        print(f"The base image could not be made: {problem}", file=sys.stderr)
        return 1
    took = f"made in {time.monotonic() - began:.0f} s" if made else "was there"
    print(f"· {tag} {took}")
    return 0


class CannotMake(Exception):
    """The text says what a person can do about it."""


# --- Debian in place of the official Python image ------------------------------------------------


def stand_in(client: docker.DockerClient) -> str:
    """The name of an image with Debian's Python, made unless it is there."""
    mirror, suite = _debian()
    inputs = _digest([mirror, suite, PACKAGES, platform.machine(), *_SUPERFLUOUS])
    name = f"{STAND_IN}:{suite}-{inputs[:12]}"
    try:
        client.images.get(name)
    except ImageNotFound:
        archive = CACHE / f"{suite}-{inputs[:12]}.tar"
        if not archive.exists():
            _debootstrap(mirror, suite, archive)
        repository, _, version = name.partition(":")
        client.api.import_image_from_file(str(archive), repository=repository, tag=version)
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


def _debootstrap(mirror: str, suite: str, archive: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise CannotMake(
            "debootstrap is needed, and root (apt-get install debootstrap); or name an image with"
            " Python that this Engine has or can pull: make base-image BASE_IMAGE=python:3.12-slim"
        )
    print(f"· making a small Debian {suite} with Python; this takes a minute or two", flush=True)
    debs, tree = CACHE / "debs", CACHE / f"{archive.stem}.tree"
    debs.mkdir(parents=True, exist_ok=True)
    _clear(tree)
    log = CACHE / "debootstrap.log"
    options = ["--variant=minbase", f"--include={PACKAGES}", f"--cache-dir={debs}"]
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


# --- the model server on top ---------------------------------------------------------------------


def build(client: docker.DockerClient, base: str, tag: str) -> bool:
    """Whether anything had to be made."""
    base_id = _id_of(client, base)
    inputs = _digest([base_id, *(f"{path}:{_file_digest(path)}" for path in _sources())])
    try:
        if client.images.get(tag).labels.get(INPUTS) == inputs:
            return False
    except ImageNotFound:
        pass
    wheels = _wheels(_target(client, base))
    print(f"· building {tag}", flush=True)
    _run_build(client, base, tag, inputs, wheels)
    for stage in client.images.list(filters=_BUILD_STAGE):
        client.images.remove(str(stage.id))
    return True


def _id_of(client: docker.DockerClient, base: str) -> str:
    try:
        return str(client.images.get(base).id)
    except ImageNotFound:
        print(f"· pulling {base}", flush=True)
        return str(client.images.pull(base).id)


def _run_build(client: docker.DockerClient, base: str, tag: str, inputs: str, wheels: Path) -> None:
    with tempfile.TemporaryFile(dir=CACHE) as context:
        _write_context(context, wheels)
        context.seek(0)
        said: list[str] = []
        for event in client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=DOCKERFILE,
            buildargs={"BASE_IMAGE": base},
            labels={INPUTS: inputs},
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
        ):
            said.append(str(event.get("stream", "")))
            if "error" in event:
                raise CannotMake(f"{event['error']}\n{''.join(said[-20:])}")


def _write_context(into: IO[bytes], wheels: Path) -> None:
    """Without times and owners of this machine."""
    with tarfile.open(fileobj=into, mode="w") as archive:
        for path in _sources():
            archive.add(path, path.relative_to(ROOT), filter=_plain)
        for wheel in sorted(wheels.glob("*.whl")):
            archive.add(wheel, f"wheels/{wheel.name}", filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _sources() -> Iterator[Path]:
    for name in SOURCES:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (it for it in found if it.is_file() and "__pycache__" not in it.parts)


# --- packages, fetched by this machine's pip -----------------------------------------------------


def _target(client: docker.DockerClient, base: str) -> dict[str, str]:
    """What the base's Python says of itself, as markers of requirements name it."""
    program = (
        "import json,platform,sys,os;"
        "print(json.dumps({'python_full_version': platform.python_version(),"
        "'python_version': '.'.join(platform.python_version_tuple()[:2]),"
        "'platform_machine': platform.machine(), 'sys_platform': sys.platform,"
        "'platform_system': platform.system(), 'os_name': os.name,"
        "'implementation_name': sys.implementation.name,"
        "'platform_python_implementation': platform.python_implementation()}))"
    )
    said = client.containers.run(
        base, ["python3", "-c", program], remove=True, network_disabled=True, entrypoint=[]
    )
    answer: dict[str, str] = json.loads(said)
    return answer


def _wheels(target: dict[str, str]) -> Path:
    """A folder with the packages for that Python, each by its pinned hash."""
    lines = _chosen((ROOT / REQUIREMENTS).read_text(), target)
    machine, version = target["platform_machine"], target["python_version"]
    folder = CACHE / f"wheels-{_digest([lines, machine, version])[:12]}"
    if (folder / "complete").exists():
        return folder
    print(f"· fetching packages for Python {version}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wanted = folder / "requirements.txt"
    wanted.write_text(lines)
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)]
    platforms.append(f"manylinux2014_{machine}")
    short = version.replace(".", "")
    environ = dict(os.environ)
    if bundle := environ.get("EXTRA_CA_BUNDLE"):
        environ.setdefault("PIP_CERT", bundle)
    fetched = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder)),
            *("--python-version", version, "--implementation", "cp"),
            *("--abi", f"cp{short}", "--abi", "abi3", "--abi", "none"),
            *(word for name in platforms for word in ("--platform", name)),
            *("-r", str(wanted)),
        ],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode != 0:
        raise CannotMake(f"pip could not fetch the packages: {fetched.stderr.strip()[-2000:]}")
    (folder / "complete").touch()
    return folder


def _chosen(text: str, target: dict[str, str]) -> str:
    """The requirements that this Python needs, without their conditions: pip would judge those by
    the Python that it runs in itself."""
    environment = {**default_environment(), **target}
    kept = []
    for entry in text.replace("\\\n", " ").splitlines():
        words = entry.strip()
        if not words or words.startswith("#"):
            continue
        named, _, hashes = words.partition(" --hash=")
        requirement = Requirement(named.partition(" #")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):  # type: ignore[arg-type]
            kept.append(f"{requirement.name}{requirement.specifier} --hash={hashes}")
    return "\n".join(kept) + "\n"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    return f"{path.relative_to(ROOT)}:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


if __name__ == "__main__":
    sys.exit(main())
