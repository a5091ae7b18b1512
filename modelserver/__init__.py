"""The program in the container: one ONNX model behind the Open Inference Protocol V2.

Its own program: it imports nothing of Django, and nothing else imports ONNX Runtime.
"""

from __future__ import annotations

import os

# ONNX Runtime reports its use to its vendor and keeps a device id in the home folder, unless this
# is set before it is imported; its own `disable_telemetry_events` comes too late for the id.
# Nothing about a model or its traffic leaves a replica but by its report.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# What gRPC would write to standard error is no line of the log; what matters of it reaches the log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
