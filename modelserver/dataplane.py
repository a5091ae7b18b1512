"""What the model server does, without a word of how it is asked: live, ready, metadata, infer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from modelserver.answers import Encoded, compose
from modelserver.errors import Busy, ModelFailed, NotFound, NotReady, shown
from modelserver.requests import Given, InferenceRequest, Symbols, build, parse
from modelserver.tensors import Array
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
    """A model that is ready, and how it is run: on the event loop or in `pool`, alone or in
    batches of up to `batch_rows` rows from several requests (0: alone)."""

    model: Model
    pool: Executor
    warm_seconds: float
    queue_limit: int
    allow_nonfinite: bool = False
    batch_rows: int = 0
    batch_window_ms: int = 0

    def on_the_loop(self, rows: int) -> bool:
        return self.warm_seconds <= FAST_SECONDS and rows <= FAST_ROWS


class Took(Protocol):
    """What an inference took. Queue time is zero for an inference on the event loop."""

    @property
    def rows(self) -> int: ...
    @property
    def queue_seconds(self) -> float: ...
    @property
    def run_seconds(self) -> float: ...


class Results(NamedTuple):
    """The arrays of `request.outputs` in that order, checked against the signature. Took."""

    arrays: list[Array]
    rows: int
    queue_seconds: float
    run_seconds: float


class Inference(NamedTuple):
    """An answer in the words of HTTP. Took."""

    answer: Encoded
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

    def infer(
        self, name: str, version: str | None, body: bytes, header_length: int | None = None
    ) -> Inference | asyncio.Future[Inference]:
        """Answers at once where the model is run on the event loop, else promises an answer.

        `header_length` is the value of `Inference-Header-Content-Length`, None without that field.
        Raises, now or from the future, Invalid, NotFound, NotReady, Busy or ModelFailed, and
        nothing else. A future may be cancelled when nobody waits for its answer any more.
        """
        serving = self.admit(name, version)
        request = parse(body, self.identity.signature, serving.model.symbols)
        results = self.run(request)
        if isinstance(results, Results):
            return self._answer(request, results)
        return _then(results, partial(self._answer, request))

    def request(
        self,
        name: str,
        version: str | None,
        inputs: Sequence[Given],
        *,
        outputs: Sequence[str] = (),
        parameters: Mapping[str, object] | None = None,
        id: str = "",
    ) -> InferenceRequest:
        """What `run` takes, from something other than JSON. No `outputs` means all of them, no `id`
        a new one. Raises Invalid, NotFound or NotReady."""
        model = self.admit(name, version).model
        signature, symbols = self.identity.signature, model.symbols
        return build(signature, symbols, inputs, outputs=outputs, parameters=parameters, id=id)

    def run(self, request: InferenceRequest) -> Results | asyncio.Future[Results]:
        """`infer` without its encodings: of what `request` made."""
        serving = self._serving
        if serving is None:
            raise NotReady("server:not-ready", self._not_ready)
        if serving.on_the_loop(request.rows):
            return _timed(serving.model, request, time.perf_counter())
        if self._waiting >= serving.queue_limit:
            raise Busy("server:busy", "Too many inferences are waiting; try again shortly.")
        self._waiting += 1
        outcome = asyncio.get_running_loop().run_in_executor(
            serving.pool, _timed, serving.model, request, time.perf_counter()
        )
        outcome.add_done_callback(self._one_less)
        return outcome

    def _one_less(self, _: object) -> None:
        self._waiting -= 1

    def _answer(self, request: InferenceRequest, results: Results) -> Inference:
        name, version = self.identity.name, self.identity.version
        answer = compose(name, version, request, results.arrays)
        return Inference(answer, results.rows, results.queue_seconds, results.run_seconds)


def _then(
    results: asyncio.Future[Results], answer: Callable[[Results], Inference]
) -> asyncio.Future[Inference]:
    async def answered() -> Inference:
        return answer(await results)

    return asyncio.ensure_future(answered())


def _timed(model: Model, request: InferenceRequest, asked: float) -> Results:
    started = time.perf_counter()
    arrays = model.run(request.feeds, [spec.name for spec in request.outputs])
    if len(arrays) != len(request.outputs):
        raise ModelFailed(
            "model:run-failed", "The model gave another number of outputs than it promised."
        )
    return Results(arrays, request.rows, started - asked, time.perf_counter() - started)
