"""Importers of scikit-learn's linear models, and of what its pipelines put around a network."""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.views.slicing import taken
from qcompiler.frontend.model.node_context import Broken, Refused, Step
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Tensor, Value, size
from qcompiler.ir.ann import Affine, ArgMax, Dense, Function, Softmax
from qcompiler.ir.view import Reshape

_RAW = "export the classifier with options={'raw_scores': True}"
_LABELS = "train the classifier on labels 0, 1, 2, .., and map them to yours afterwards"


def scaler(step: Step) -> Value:
    """Scaler of ai.onnx.ml: ``(x - offset) * scale``, one of each a feature."""
    x = step.activation()
    offset, scale = (_features(step, name, x) for name in ("offset", "scale"))
    shift = step.constant("shift", -offset * scale)
    return step.add(Affine(), x, step.constant("scale", scale), shift)


def _features(step: Step, name: str, x: Value) -> Array:
    given = np.asarray(step.attributes.get(name, ()), np.float32)
    if len(x.type.shape) != 1 or given.size not in (1, x.type.shape[0]):
        raise Broken(f"has {given.size} values of {name} for samples of {x.type.shape}")
    return given


def array_feature_extractor(step: Step) -> Value:
    """ArrayFeatureExtractor of ai.onnx.ml: columns, or the label of an index."""
    if isinstance(step.item(0), Value):
        places = step.fixed_integers(1, "indices") or ()
        x, length = step.activation(), step.activation().type.shape[-1]
        if not all(0 <= place < length for place in places):
            raise Broken(f"takes columns {places} of {length}")
        return taken(step, x, len(x.type.shape) - 1, places)
    labels, index = step.fixed(0, "labels"), step.item(1)
    if labels is None or not isinstance(index, Value) or size(index.type) != 1:
        raise Refused("ArrayFeatureExtractor is only supported for labels of a classifier")
    assert isinstance(index.type, Tensor)
    if index.type.dtype != "i64" or not np.array_equal(labels.ravel(), np.arange(labels.size)):
        raise Refused("labels other than 0, 1, 2, .. are not supported", _LABELS)
    return step.add(Reshape(()), index)


def linear_regressor(step: Step) -> Value:
    """LinearRegressor of ai.onnx.ml: a dense layer."""
    _transform(step, ("NONE",))
    return _dense(step, step.integer("targets", 1))


def linear_classifier(step: Step) -> tuple[Value, ...]:
    """LinearClassifier of ai.onnx.ml: a dense layer, its largest score, and what becomes of all."""
    transform = _transform(step, ("NONE", "SOFTMAX", "LOGISTIC"))
    labels = step.integers("classlabels_ints")
    rows = len(step.attributes.get("intercepts", ())) or len(labels or ())
    if rows == 1:
        raise Refused("LinearClassifier with the score of only one class is not supported", _RAW)
    if labels is None or list(labels) != list(range(rows)):
        raise Refused("labels other than 0, 1, 2, .. are not supported", _LABELS)
    scores = _dense(step, rows)
    label = step.add(ArgMax(0, False, False), scores)
    if transform == "SOFTMAX":
        scores = step.part("softmax", Softmax(0, False), scores)
    if transform == "LOGISTIC":
        scores = step.part("sigmoid", Function("x sigmoid"), scores)
    return label, scores


def normalizer(step: Step) -> Value:
    """Normalizer of ai.onnx.ml, where there is nothing to do: behind a softmax."""
    x = step.activation()
    nodes = step.scope.builder.nodes
    last = Softmax(len(x.type.shape) - 1, False)
    one = any(node.result == x and node.op == last for node in nodes)
    if step.text("norm", "MAX") != "L1" or not one:
        raise Refused("Normalizer is only supported after a softmax", _RAW)
    return x


def _transform(step: Step, allowed: tuple[str, ...]) -> str:
    found = step.text("post_transform", "NONE")
    if found not in allowed:
        raise Refused(f"{step.op_type} with post_transform {found} is not supported", _RAW)
    return found


def _dense(step: Step, rows: int) -> Value:
    x = step.activation()
    given = np.asarray(step.attributes.get("coefficients", ()), np.float32)
    bias = np.asarray(step.attributes.get("intercepts") or (0.0,) * rows, np.float32)
    if len(x.type.shape) != 1 or given.size != rows * x.type.shape[0] or bias.size != rows:
        raise Broken(f"has {given.size} coefficients for samples of {x.type.shape}")
    operands = step.constant("weight", given.reshape(rows, -1)), step.constant("bias", bias)
    return step.part("scores", Dense(), x, *operands)
