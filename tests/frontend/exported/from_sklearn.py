"""Writes linear models of scikit-learn; needs scikit-learn and skl2onnx. Run it in this folder."""

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import LinearSVC

rng = np.random.default_rng(0)
x = rng.uniform(0, 1, (300, 8)).astype(np.float32)
classes = ((x - 0.5) @ rng.standard_normal((8, 3))).argmax(axis=1)
models = {
    "logistic": (make_pipeline(MinMaxScaler(), LogisticRegression()), classes),
    "binary": (LogisticRegression(), classes > 0),
    "machine": (LinearSVC(), classes),
    "regression": (LinearRegression(), x @ np.ones((8, 2), np.float32)),
}
for name, (model, target) in models.items():
    model.fit(x, np.asarray(target, np.float32) if name == "regression" else target.astype(int))
    options = {} if name in ("regression", "machine") else {"options": {"zipmap": False}}
    proto = to_onnx(model, x[:1], target_opset=17, **options)
    Path(f"sklearn_{name}.onnx").write_bytes(proto.SerializeToString())
