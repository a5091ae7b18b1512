"""Packages for the Python of an image, fetched by this machine's pip with this machine's
configuration and certificates: the build of the image needs no network then."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import docker
from packaging.markers import default_environment
from packaging.requirements import Requirement

from scripts.errors import CannotMake


def target(client: docker.DockerClient, base: str) -> dict[str, str]:
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


def fetched(requirements: Path, target: dict[str, str], cache: Path) -> Path:
    """A folder with the packages for that Python, each by its pinned hash.

    Raises:
        CannotMake: pip could not fetch one.
    """
    lines = _chosen(requirements.read_text(), target)
    machine, version = target["platform_machine"], target["python_version"]
    inputs = hashlib.sha256(f"{lines}{machine}{version}".encode()).hexdigest()[:12]
    folder = cache / f"wheels-{inputs}"
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
    done = subprocess.run(
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
    if done.returncode != 0:
        raise CannotMake(f"pip could not fetch the packages: {done.stderr.strip()[-2000:]}")
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
