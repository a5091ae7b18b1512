#!/usr/bin/env bash
# Runs tiers of tests: `test.sh all`, or `test.sh TIER... [pytest arguments]`.
# Tests that share nothing run side by side; those that start the whole system run one at a time,
# because they measure it. What could not be run is told at the very end, over both.
set -uo pipefail
cd "$(dirname "$0")/.."

side_by_side="unit architecture app contract"
one_at_a_time="integration e2e"
notes=var/test/not-run.jsonl
mkdir -p var/test
failures=var/test/failed.txt
rm -f $notes $failures
export SLIPWAY_NOT_RUN_FILE=$PWD/$notes
export SLIPWAY_FAILED_FILE=$PWD/$failures

# `make services` leaves the addresses of what it started here.
if [ -r var/services/env ]; then
  set -a
  . var/services/env
  set +a
fi

wanted=()
while [ $# -gt 0 ] && [[ "$1" != -* ]]; do wanted+=("$1"); shift; done
[ "${wanted[*]:-}" = all ] && read -ra wanted <<<"$side_by_side $one_at_a_time"

folders() { # of the tiers named, those wanted that hold tests
  local tier
  for tier in $1; do
    [[ " ${wanted[*]} " == *" $tier "* ]] || continue
    [ -n "$(find "tests/$tier" -name 'test_*.py' -print -quit 2>/dev/null)" ] && printf 'tests/%s ' "$tier"
  done
}

status=0
run() { # workers, folders, pytest arguments
  local workers=$1 places=$2
  shift 2
  [ -n "$places" ] || return 0
  # shellcheck disable=SC2086 # the folders are words
  .venv/bin/python -m pytest -n "$workers" $places "$@" || status=$?
}

workers=${SLIPWAY_TEST_WORKERS:-auto}
run "$workers" "$(folders "$side_by_side")" --dist loadgroup "$@"
# Both databases are supported, so what needs one is run on both.
SLIPWAY_TEST_DATABASE=postgresql run "$workers" "$(folders app)" --dist loadgroup "$@"
run 0 "$(folders "$one_at_a_time")" "$@"
if [ -s $failures ]; then
  printf '\n%s\n' "---------- all that failed, in every run above ----------"
  cat $failures
fi
exit $status
