"""What the model server does, without a word of how it is asked: live, ready, metadata, infer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from modelserver.answers import AnswerWriter, Encoded
from modelserver.batching import Batcher
from modelserver.errors import NotFound, NotReady, shown
from modelserver.requests import Given, InferenceRequest, RequestReader
from modelserver.runner import Model, Runner
from modelserver.runner import Results as Results
from modelserver.waiting import WaitingLine
from wire.signature import Signature

SERVER_NAME = "slipway"
SERVER_VERSION = "0.1.0"
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "onnx_onnxv1"

Json = dict[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """The one model and version that this server answers for."""

    name: str
    version: str
    signature: Signature


@dataclass(frozen=True, slots=True)
class Serving:
    """A model that is ready, and how it is run: on the event loop up to `loop_values` input values,
    else in one of `workers` threads of `pool`; alone, or in batches of up to `batch_rows` rows from
    several requests (0: alone). `without_rows`: see `Runner`."""

    model: Model
    pool: Executor
    queue_limit: int
    loop_values: int
    workers: int = 1
    allow_nonfinite: bool = False
    without_rows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    batch_rows: int = 0
    batch_window_ms: int = 0
    give_back: Callable[[], None] = lambda: None  # memory that a burst took


class Took(Protocol):
    """What an inference took. Queue time is zero for an inference on the event loop."""

    @property
    def rows(self) -> int: ...
    @property
    def queue_seconds(self) -> float: ...
    @property
    def run_seconds(self) -> float: ...


class Inference(NamedTuple):
    """An answer in the words of HTTP. Took."""

    answer: Encoded
    rows: int
    queue_seconds: float
    run_seconds: float


class _Ready:
    """Everything that answers for a model, made once."""

    def __init__(self, identity: Identity, serving: Serving) -> None:
        signature, model = identity.signature, serving.model
        nonfinite = serving.allow_nonfinite
        self.reader = RequestReader(signature, model.symbols, allow_nonfinite=nonfinite)
        self.writer = AnswerWriter(identity.name, identity.version, finite=not nonfinite)
        self.runner = Runner(model, allow_nonfinite=nonfinite, without_rows=serving.without_rows)
        self.line = WaitingLine(serving.pool, serving.queue_limit)
        self.loop_values = serving.loop_values
        self.give_back = serving.give_back
        self.batcher: Batcher | None = None
        if serving.batch_rows:
            self.batcher = Batcher(
                self.runner,
                self.line,
                max_rows=serving.batch_rows,
                window=serving.batch_window_ms / 1000,
                workers=serving.workers,
                loop_values=serving.loop_values,
            )

    def start(
        self, request: InferenceRequest, finish: Callable[[Results], T]
    ) -> T | asyncio.Future[T]:
        """What `finish` makes of the results, or a promise of it."""
        if self.batcher is not None and self.batcher.takes(request):
            return self.batcher.add(request, finish)
        asked = time.perf_counter()
        if request.values <= self.loop_values or not request.rows:
            return finish(self.runner.answer(request, asked))
        return self.line.promise(partial(self.runner.answer, request, asked), finish)


class DataPlane:
    """Loading until `serve`, ready until `drain`; while draining it still answers."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._ready: _Ready | None = None
        self._not_ready = "The model is still loading."
        self.draining = False

    def serve(self, serving: Serving) -> None:
        self._ready = _Ready(self.identity, serving)
        if not self.draining:
            self._not_ready = ""

    def not_yet(self, reason: str) -> None:
        """Says why it is not ready; with an empty reason it is, unless it is draining."""
        if not self.draining:
            self._not_ready = reason

    def drain(self) -> None:
        """From now on not ready, so that no new traffic is sent here; what comes is answered."""
        self.draining = True
        self._not_ready = "The server is shutting down."

    def live(self) -> bool:
        return True

    def give_back(self) -> None:
        """Frees memory that a burst took; takes as long as an inference, in the caller's thread."""
        if self._ready is not None:
            self._ready.give_back()

    def not_ready_because(self) -> str:
        """Empty when ready."""
        return self._not_ready

    def server_metadata(self) -> Json:
        return {"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": [*EXTENSIONS]}

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

    def admit(self, name: str, version: str | None) -> None:
        """Refuses everything that can be refused before the body has been read: raises NotFound or
        NotReady."""
        self._admitted(name, version)

    def infer(
        self,
        name: str,
        version: str | None,
        body: bytes | memoryview,
        header_length: int | None = None,
    ) -> Inference | asyncio.Future[Inference]:
        """Answers at once where the model is run on the event loop, else promises an answer.

        `header_length` is the value of `Inference-Header-Content-Length`, None without that field.
        Raises, now or from the future, Invalid, NotFound, NotReady, Busy or ModelFailed, and
        nothing else. A future may be cancelled when nobody waits for its answer any more.
        """
        ready = self._admitted(name, version)
        request = ready.reader.parse(body, header_length)
        return ready.start(request, partial(_inference, ready.writer, request))

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
        reader = self._admitted(name, version).reader
        return reader.build(inputs, outputs=outputs, parameters=parameters, id=id)

    def run(self, request: InferenceRequest) -> Results | asyncio.Future[Results]:
        """`infer` without its encodings, of what `request` made."""
        if self._ready is None:
            raise NotReady("server:not-ready", self._not_ready)
        return self._ready.start(request, _as_they_are)

    def _admitted(self, name: str, version: str | None) -> _Ready:
        identity = self.identity
        if name != identity.name or (version is not None and version != identity.version):
            self.require_model(name, version)
        if self._ready is None:
            raise NotReady("server:not-ready", self._not_ready)
        return self._ready


def _inference(writer: AnswerWriter, request: InferenceRequest, results: Results) -> Inference:
    answer = writer.write(request, results.arrays)
    return Inference(answer, results.rows, results.queue_seconds, results.run_seconds)


def _as_they_are(results: Results) -> Results:
    return results
