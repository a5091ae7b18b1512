"""From an artifact's bytes to a model that is ready: loaded, compared, warmed up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from modelserver import model as models
from modelserver.dataplane import Serving
from modelserver.errors import LoadFailed
from modelserver.runner import Runner
from modelserver.warmup import Warm, warm_up
from wire.serving import ServingConfig
from wire.signature import Signature


@dataclass(frozen=True, slots=True)
class Prepared:
    serving: Serving
    warm: Warm


def prepare(
    blob: bytes, signature: Signature, config: ServingConfig, *, allow_nonfinite: bool = False
) -> Prepared:
    """Raises LoadFailed, also when the model is not the one of which `signature` tells."""
    model = models.load(blob, threads=config.inference_threads)
    if model.signature != signature:
        message = "The model has other inputs or outputs than its version in the registry."
        raise LoadFailed("model:other-signature", message)
    runner = Runner(model, allow_nonfinite=allow_nonfinite)
    warm = warm_up(runner, batch_rows=config.batch_rows)
    serving = Serving(
        model,
        ThreadPoolExecutor(config.workers, thread_name_prefix="infer"),
        queue_limit=config.queue_limit,
        loop_values=warm.loop_values,
        workers=config.workers,
        allow_nonfinite=allow_nonfinite,
        without_rows=warm.without_rows,
        batch_rows=config.batch_rows,
        batch_window_ms=config.batch_window_ms,
        give_back=model.give_back,
    )
    model.give_back()  # what the warm-up took
    return Prepared(serving, warm)
