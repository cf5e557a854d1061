"""Support vector machines with a linear kernel are dense layers; others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileError
from tests.frontend.test_categories import expect, model, node

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((5, 4)).astype(np.float32)
MACHINE: dict[str, Any] = {
    "coefficients": [-0.5, -1.0, 0.25, 0.75, 0.5],
    "support_vectors": VECTORS.ravel().tolist(),
    "rho": [0.3],
    "kernel_type": "LINEAR",
    "kernel_params": [0.25, 0.0, 3.0],
}
CLASSES = {"classlabels_ints": [4, 9], "vectors_per_class": [2, 3]}


def regressor(**changed: Any) -> onnx.ModelProto:
    attributes = {**MACHINE, "n_supports": 5, **changed}
    return model([node("SVMRegressor", "x", "y", **attributes)], width=4)


def classifier(**changed: Any) -> onnx.ModelProto:
    attributes = {**MACHINE, **CLASSES, **changed}
    return model([node("SVMClassifier", "x", "label scores", **attributes)], width=4)


@pytest.mark.parametrize("proto", [regressor(), classifier(), classifier(rho=[-2.0])])
def test_linear_machines_give_what_onnxruntime_does(proto: onnx.ModelProto) -> None:
    expect(proto, RNG.standard_normal((50, 4)))


STRINGS = {"classlabels_strings": ["a", "b"]}
VOTES = {"classlabels_ints": [0, 1, 2], "rho": [0.1, 0.2, 0.3], "vectors_per_class": [2, 2, 1]}


@pytest.mark.parametrize(
    ("proto", "reason", "remedy"),
    [
        (regressor(kernel_type="RBF"), "the kernel RBF", "kernel='linear'"),
        (regressor(one_class=1), "of one class", "outside"),
        (classifier(kernel_type="POLY"), "the kernel POLY", "MLPClassifier"),
        (classifier(**VOTES, coefficients=[1.0] * 10), "votes of 3 classes", "LinearSVC"),
        (classifier(prob_a=[-1.0], prob_b=[0.1]), "probabilities", "probability=False"),
        (regressor(post_transform="LOGISTIC"), "post_transform LOGISTIC", "to NONE"),
        (classifier(post_transform="PROBIT"), "post_transform PROBIT", "to NONE"),
        (classifier(**STRINGS, classlabels_ints=None), "strings", "number the labels before fit"),
        (classifier(coefficients=[0.5] * 5), "vectors of both classes", "samples of both classes"),
        (classifier(support_vectors=[1.0]), "has 1 numbers", ""),
    ],
)
def test_others_are_refused(proto: onnx.ModelProto, reason: str, remedy: str) -> None:
    with pytest.raises(CompileError) as caught:
        import_model(proto)
    (finding,) = caught.value.diagnostics
    assert reason in finding.message
    assert remedy in (finding.help or "")
