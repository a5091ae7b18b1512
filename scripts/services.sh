#!/usr/bin/env bash
# `start`: installs (Debian's packages) and starts what the tests can use, and writes down what it
# started, so that `stop` ends exactly that and nothing that was running before.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=var/services
started=$folder/started
environment=$folder/env

fail() { printf '%s\n' "$*" >&2; exit 1; }

postgres_up() { pg_lsclusters --no-header 2>/dev/null | awk '$4 ~ /^online/ {found = 1} END {exit !found}'; }
redis_up() { redis-cli -h 127.0.0.1 ping 2>/dev/null | grep -q PONG; }

install_packages() {
  local missing=() package
  for package in postgresql redis-server chromium; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "· installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >$folder/apt.log 2>&1 ||
    fail "apt-get could not install ${missing[*]}: see $folder/apt.log"
}

note() { grep -qx "$1" $started 2>/dev/null || echo "$1" >>$started; }

start_postgres() {
  local version
  version=$(pg_lsclusters --no-header | awk '{print $1; exit}')
  [ -n "$version" ] || fail "PostgreSQL has no cluster: pg_createcluster 15 main"
  postgres_up || pg_ctlcluster "$version" main start
  local port password
  port=$(pg_lsclusters --no-header | awk '{print $3; exit}')
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  as_postgres "$port" >/dev/null <<SQL
DO \$\$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway_test') THEN CREATE ROLE slipway_test LOGIN CREATEDB; END IF;
END \$\$;
ALTER ROLE slipway_test PASSWORD '$password';
SQL
  as_postgres "$port" -tA -c "SELECT 1 FROM pg_database WHERE datname = 'slipway_test'" | grep -q 1 ||
    as_postgres "$port" -c 'CREATE DATABASE slipway_test OWNER slipway_test' >/dev/null
  echo "SLIPWAY_TEST_POSTGRES_URL=postgresql://slipway_test:$password@127.0.0.1:$port/slipway_test" >>$environment
}

as_postgres() { # port, arguments of psql; from / because the role may not enter this folder
  local port=$1
  shift
  (cd / && runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 -p "$port" "$@")
}

start_redis() {
  redis_up || redis-server --bind 127.0.0.1 --port 6379 --save '' --appendonly no --daemonize yes \
    --dir "$PWD/$folder" --pidfile "$PWD/$folder/redis.pid" >/dev/null
  for _ in $(seq 50); do redis_up && break; sleep 0.1; done
  echo "SLIPWAY_TEST_REDIS_URL=redis://127.0.0.1:6379/15" >>$environment
}

start() {
  [ "$(id -u)" = 0 ] || fail "make services installs Debian packages and needs root: sudo make services"
  command -v apt-get >/dev/null || fail "make services needs apt-get; install PostgreSQL, redis-server and Chromium yourself and set SLIPWAY_TEST_POSTGRES_URL"
  mkdir -p $folder
  # Looked at before the packages come: their installation may start them.
  postgres_up || note postgresql
  redis_up || note redis-server
  install_packages
  (umask 077 && : >$environment)
  start_postgres
  start_redis
  echo "· PostgreSQL, Redis and Chromium are there$([ -s $started ] && printf '; started here: %s' "$(paste -sd' ' $started)")"
}

stop() {
  [ -s $started ] || return 0
  local version
  if grep -qx postgresql $started; then
    version=$(pg_lsclusters --no-header | awk '{print $1; exit}')
    pg_ctlcluster "$version" main stop --mode fast || true
  fi
  if grep -qx redis-server $started; then redis-cli -h 127.0.0.1 shutdown nosave >/dev/null 2>&1 || true; fi
  rm -f $started $environment
}

case ${1:-start} in
  start) start ;;
  stop) stop ;;
  *) fail "usage: scripts/services.sh start|stop" ;;
esac
