"""What the model server does, without a word of how it is asked: live, ready, metadata, infer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from modelserver.errors import Busy, ModelFailed, NotFound, NotReady, shown
from modelserver.requests import InferenceRequest, Symbols, parse
from modelserver.tensors import Array, encode
from wire.signature import Signature

SERVER_NAME = "slipway"
SERVER_VERSION = "0.1.0"
PLATFORM = "onnx_onnxv1"
FAST_SECONDS = 0.001  # one warm inference: below, a thread costs more than it frees
FAST_ROWS = 64

Json = dict[str, object]


class Model(Protocol):
    """What can be run; `modelserver.model.OnnxModel` is one."""

    signature: Signature
    symbols: Symbols

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The one model and version that this server answers for."""

    name: str
    version: str
    signature: Signature


@dataclass(frozen=True, slots=True)
class Serving:
    """A model that is ready, and where its inferences run: on the event loop or in `pool`."""

    model: Model
    pool: Executor
    warm_seconds: float
    queue_limit: int

    def on_the_loop(self, rows: int) -> bool:
        return self.warm_seconds <= FAST_SECONDS and rows <= FAST_ROWS


class Inference(NamedTuple):
    """An answer and what it took. Queue time is zero for an inference on the event loop."""

    answer: Json
    rows: int
    queue_seconds: float
    run_seconds: float


class DataPlane:
    """Loading until `serve`, ready until `drain`; while draining it still answers."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._serving: Serving | None = None
        self._waiting = 0
        self._not_ready = "The model is still loading."
        self.draining = False

    def serve(self, serving: Serving) -> None:
        self._serving = serving
        if not self.draining:
            self._not_ready = ""

    def drain(self) -> None:
        """From now on not ready, so that no new traffic is sent here; what comes is answered."""
        self.draining = True
        self._not_ready = "The server is shutting down."

    def live(self) -> bool:
        return True

    def not_ready_because(self) -> str:
        """Empty when ready."""
        return self._not_ready

    def server_metadata(self) -> Json:
        return {"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": []}

    def model_metadata(self, name: str, version: str | None) -> Json:
        self.require_model(name, version)
        return {
            "name": self.identity.name,
            "versions": [self.identity.version],
            "platform": PLATFORM,
        } | self.identity.signature.to_json()

    def require_model(self, name: str, version: str | None) -> None:
        """Raises NotFound unless this server answers for this model and (if named) version."""
        if name != self.identity.name:
            raise NotFound("model:unknown", f"There is no model {shown(name)} here.")
        if version is not None and version != self.identity.version:
            raise NotFound(
                "model:unknown-version", f"There is no version {shown(version)} of this model here."
            )

    def admit(self, name: str, version: str | None) -> Serving:
        """Everything that can be refused before the body has been read."""
        self.require_model(name, version)
        if self._serving is None:
            raise NotReady("server:not-ready", self._not_ready)
        return self._serving

    async def infer(self, name: str, version: str | None, body: bytes) -> Inference:
        """Raises Invalid, NotFound, NotReady, Busy or ModelFailed, and nothing else."""
        serving = self.admit(name, version)
        request = parse(body, self.identity.signature, serving.model.symbols)
        if serving.on_the_loop(request.rows):
            return self._answer(request, *_timed(serving.model, request, time.perf_counter()))
        if self._waiting >= serving.queue_limit:
            raise Busy("server:busy", "Too many inferences are waiting; try again shortly.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            outcome = await loop.run_in_executor(
                serving.pool, _timed, serving.model, request, time.perf_counter()
            )
        finally:
            self._waiting -= 1
        return self._answer(request, *outcome)

    def _answer(
        self, request: InferenceRequest, arrays: list[Array], queued: float, ran: float
    ) -> Inference:
        outputs = [encode(spec, array) for spec, array in zip(request.outputs, arrays, strict=True)]
        answer: Json = {
            "model_name": self.identity.name,
            "model_version": self.identity.version,
            "id": request.id,
            "outputs": outputs,
        }
        return Inference(answer, request.rows, queued, ran)


def _timed(
    model: Model, request: InferenceRequest, asked: float
) -> tuple[list[Array], float, float]:
    started = time.perf_counter()
    arrays = model.run(request.feeds, [spec.name for spec in request.outputs])
    if len(arrays) != len(request.outputs):
        raise ModelFailed(
            "model:run-failed", "The model gave another number of outputs than it promised."
        )
    return arrays, started - asked, time.perf_counter() - started
