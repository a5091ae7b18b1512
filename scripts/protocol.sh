#!/usr/bin/env bash
# Makes modelserver/pb/inference_pb2.py and .pyi of inference.proto: `protocol.sh [FOLDER]`, where
# FOLDER is the repository unless a test wants to compare.
set -euo pipefail
cd "$(dirname "$0")/.."
into=${1:-.}
exec .venv/bin/python -m grpc_tools.protoc --proto_path=. --python_out="$into" --pyi_out="$into" \
  modelserver/pb/inference.proto
