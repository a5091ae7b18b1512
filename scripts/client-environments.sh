#!/usr/bin/env bash
# Makes an environment for each client that others wrote and the tests try: var/clients/NAME, pinned
# and hashed by requirements/clients-NAME.txt. They have to be apart: their generated messages have
# the same names, and their dependencies do not agree with ours. What is up to date is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

for requirements in requirements/clients-*.txt; do
  name=$(basename "$requirements" .txt)
  folder=var/clients/${name#clients-}
  cmp -s "$requirements" "$folder/made-of.txt" && continue
  echo "· making $folder"
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  .venv/bin/uv venv --quiet --python .venv/bin/python "$folder"
  .venv/bin/uv pip install --quiet --python "$folder/bin/python" --require-hashes -r "$requirements"
  cp "$requirements" "$folder/made-of.txt"
done
