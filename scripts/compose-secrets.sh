#!/usr/bin/env bash
# Makes the secrets of docker-compose.yml, once: what is there is kept. Each is a file that the
# containers read; the folder keeps everybody else on this machine out.
#
#   scripts/compose-secrets.sh [host name of the dashboard]
#
# Put your own certificate for the dashboard into compose/secrets/web.pem and web.key; without one,
# this makes one that browsers will warn of.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=compose/secrets
name=${1:-localhost}
# Containers read as users of their own, and Docker hands files over with the modes that they have
# here. Nobody else gets past the folder.
mkdir -p $folder
chmod 0700 $folder
umask 022

secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
once() { [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }

once postgres_password "$(secret)"
once redis_password "$(secret)"
redis=$(cat $folder/redis_password)
once database_url "postgresql://slipway:$(cat $folder/postgres_password)@postgres:5432/slipway"
once redis_url "redis://:$redis@redis:6379/0"
once redis.conf "$(printf 'requirepass %s\nbind 0.0.0.0\ndir /data\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n' "$redis")
"
if [ ! -s $folder/web.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 397 -sha256 \
    -subj "/CN=$name" -addext "subjectAltName=DNS:$name,DNS:edge,IP:127.0.0.1" \
    -keyout $folder/web.key -out $folder/web.pem 2>/dev/null
  chmod 0644 $folder/web.key
  echo "· made a certificate for $name that browsers will warn of: $folder/web.pem"
fi
echo "· secrets are in $folder"
