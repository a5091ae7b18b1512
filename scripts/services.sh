#!/usr/bin/env bash
# `start`: installs (Debian's packages) and starts what the tests can use, and writes down what it
# started, so that `stop` ends exactly that and nothing that was running before.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=var/services
started=$folder/started
environment=$folder/env

packages="postgresql redis-server chromium
  docker.io iptables iproute2 debootstrap docker-registry docker-compose openssh-server wrk"

fail() { printf '%s\n' "$*" >&2; exit 1; }

engine_up() { docker version >/dev/null 2>&1; }
postgres_up() { pg_lsclusters --no-header 2>/dev/null | awk '$4 ~ /^online/ {found = 1} END {exit !found}'; }
redis_up() { redis-cli -h 127.0.0.1 ping 2>/dev/null | grep -q PONG; }

install_packages() {
  local missing=() package
  for package in $packages; do
    # Another Engine than Debian's is as good, and would be in its way.
    [ "$package" = docker.io ] && command -v dockerd >/dev/null && continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "· installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Debian splits the client off in later releases.
  if [[ " ${missing[*]} " == *" docker.io "* ]] && [ -n "$(apt-cache search --names-only '^docker-cli$')" ]; then
    missing+=(docker-cli)
  fi
  hold_daemons
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >$folder/apt.log 2>&1 ||
    fail "apt-get could not install ${missing[*]}: see $folder/apt.log"
  let_daemons_go
}

# Packages start what they bring, an SSH server and a registry among it. What is needed is started
# below, and stopped again.
policy=/usr/sbin/policy-rc.d
hold_daemons() {
  [ -e $policy ] && return
  trap let_daemons_go EXIT
  printf '#!/bin/sh\n# slipway\nexit 101\n' >$policy
  chmod +x $policy
}
let_daemons_go() { if grep -qs '^# slipway$' $policy; then rm -f $policy; fi; }

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

start_engine() {
  engine_up && return
  command -v dockerd >/dev/null || fail "There is no dockerd, and none answers at ${DOCKER_HOST:-the default socket}"
  # By itself it would end with this script's terminal.
  setsid dockerd --pidfile "$PWD/$folder/dockerd.pid" >$folder/dockerd.log 2>&1 </dev/null &
  for _ in $(seq 300); do engine_up && return; sleep 0.1; done
  fail "dockerd does not answer: see $folder/dockerd.log"
}

stop_engine() {
  local pid
  pid=$(cat $folder/dockerd.pid 2>/dev/null) || return 0
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
  kill "$pid"
  for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid"
}

start() {
  [ "$(id -u)" = 0 ] || fail "make services installs Debian packages and needs root: sudo make services"
  command -v apt-get >/dev/null || fail "make services needs apt-get; install PostgreSQL, redis-server, Chromium and Docker Engine yourself and set SLIPWAY_TEST_POSTGRES_URL"
  mkdir -p $folder
  # Looked at before the packages come: their installation may start them.
  postgres_up || note postgresql
  redis_up || note redis-server
  engine_up || note docker
  install_packages
  (umask 077 && : >$environment)
  start_postgres
  start_redis
  start_engine
  echo "· PostgreSQL, Redis, Chromium and a Docker Engine are there$([ -s $started ] && printf '; started here: %s' "$(paste -sd' ' $started)")"
  make base-image
}

stop() {
  [ -s $started ] || return 0
  local version
  if grep -qx postgresql $started; then
    version=$(pg_lsclusters --no-header | awk '{print $1; exit}')
    pg_ctlcluster "$version" main stop --mode fast || true
  fi
  if grep -qx redis-server $started; then redis-cli -h 127.0.0.1 shutdown nosave >/dev/null 2>&1 || true; fi
  if grep -qx docker $started; then stop_engine; fi
  rm -f $started $environment
}

case ${1:-start} in
  start) start ;;
  stop) stop ;;
  *) fail "usage: scripts/services.sh start|stop" ;;
esac
