"""Makes the demo's models from scikit-learn's breast-cancer table.

Run it as `python demo/models/make_models.py`.

Version 1 is a scaled logistic regression, version 2 gradient boosting. Version 3 is version 1 with
a mistake that real exports make: the batch size of the example it was traced with is baked into a
Reshape. Its signature says "any number of rows", it is a valid file and answers one row, so intake
accepts it; it fails on the first batch, which is what a replica's warm-up is for.

Deterministic: the committed files are what this makes with the pinned requirements.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20
ROWS = 200
FEATURES = 30
OPSETS = {"": 18, "ai.onnx.ml": 3}
HERE = Path(__file__).parent


def convert(estimator: BaseEstimator) -> onnx.ModelProto:
    """A model with the input `X` and the outputs `label` and `probabilities`, all plain tensors."""
    model: onnx.ModelProto = convert_sklearn(
        estimator,
        initial_types=[("X", FloatTensorType([None, FEATURES]))],
        final_types=None,
        options={id(estimator): {"zipmap": False}},
        target_opset=OPSETS,
    )
    model.graph.name = "tumour"
    return model


def with_baked_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model behind a Reshape to exactly one row."""
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    for node in broken.graph.node:
        node.input[:] = ["row" if name == "X" else name for name in node.input]
    broken.graph.initializer.append(
        numpy_helper.from_array(np.array([1, FEATURES], dtype=np.int64), "traced_shape")
    )
    broken.graph.node.insert(
        0, helper.make_node("Reshape", ["X", "traced_shape"], ["row"], name="Reshape")
    )
    return broken


def main() -> None:
    table = load_breast_cancer()
    train_x, test_x, train_y, _ = train_test_split(
        table.data.astype(np.float32),
        table.target,
        test_size=ROWS,
        random_state=SEED,
        stratify=table.target,
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=SEED))
    boosted = GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=SEED)
    first, second = (convert(estimator.fit(train_x, train_y)) for estimator in (linear, boosted))
    for number, model in enumerate((first, second, with_baked_batch(first)), start=1):
        onnx.checker.check_model(model, full_check=True)
        (HERE / f"tumour-{number}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    rows = [[float(f"{value:.6g}") for value in row] for row in test_x]
    (HERE / "rows.json").write_text(
        json.dumps({"features": list(table.feature_names), "rows": rows}, separators=(",", ":"))
        + "\n"
    )


if __name__ == "__main__":
    main()
