"""Importers of scikit-learn's linear models, and of what its pipelines put around a network."""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.node_context import InvalidNode, NodeContext, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Tensor, Value, size
from qcompiler.ir.ann import Affine, ArgMax, Dense, Function, Softmax
from qcompiler.ir.view import Reshape

_RAW = "export the classifier with options={'raw_scores': True}"
_LABELS = "train the classifier on labels 0, 1, 2, .., and map them to yours afterwards"


def scaler(node: NodeContext) -> Value:
    """Scaler of ai.onnx.ml: ``(x - offset) * scale``, one of each a feature."""
    x = node.activation()
    offset, scale = (_features(node, name, x) for name in ("offset", "scale"))
    shift = node.constant("shift", -offset * scale)
    return node.add(Affine(), x, node.constant("scale", scale), shift)


def _features(node: NodeContext, name: str, x: Value) -> Array:
    given = np.asarray(node.attributes.get(name, ()), np.float32)
    if len(x.type.shape) != 1 or given.size not in (1, x.type.shape[0]):
        raise InvalidNode(f"has {given.size} values of {name} for samples of {x.type.shape}")
    return given


def array_feature_extractor(node: NodeContext) -> Value:
    """ArrayFeatureExtractor of ai.onnx.ml: columns, or the label of an index."""
    if isinstance(node.item(0), Value):
        places = node.fixed_integers(1, "indices") or ()
        x, length = node.activation(), node.activation().type.shape[-1]
        if not all(0 <= place < length for place in places):
            raise InvalidNode(f"takes columns {places} of {length}")
        return take_indices(node, x, len(x.type.shape) - 1, places)
    labels, index = node.fixed(0, "labels"), node.item(1)
    if labels is None or not isinstance(index, Value) or size(index.type) != 1:
        raise Refused("ArrayFeatureExtractor is only supported for labels of a classifier")
    assert isinstance(index.type, Tensor)
    if index.type.dtype != "i64" or not np.array_equal(labels.ravel(), np.arange(labels.size)):
        raise Refused("labels other than 0, 1, 2, .. are not supported", _LABELS)
    return node.add(Reshape(()), index)


def linear_regressor(node: NodeContext) -> Value:
    """LinearRegressor of ai.onnx.ml: a dense layer."""
    _transform(node, ("NONE",))
    return _dense(node, node.integer("targets", 1))


def linear_classifier(node: NodeContext) -> tuple[Value, ...]:
    """LinearClassifier of ai.onnx.ml: a dense layer, its largest score, and what becomes of all."""
    transform = _transform(node, ("NONE", "SOFTMAX", "LOGISTIC"))
    labels = node.integers("classlabels_ints")
    rows = len(node.attributes.get("intercepts", ())) or len(labels or ())
    if rows == 1:
        raise Refused("LinearClassifier with the score of only one class is not supported", _RAW)
    if labels is None or list(labels) != list(range(rows)):
        raise Refused("labels other than 0, 1, 2, .. are not supported", _LABELS)
    scores = _dense(node, rows)
    label = node.add(ArgMax(0, False, False), scores)
    if transform == "SOFTMAX":
        scores = node.part("softmax", Softmax(0, False), scores)
    if transform == "LOGISTIC":
        scores = node.part("sigmoid", Function("x sigmoid"), scores)
    return label, scores


def normalizer(node: NodeContext) -> Value:
    """Normalizer of ai.onnx.ml, where there is nothing to do: behind a softmax."""
    x = node.activation()
    nodes = node.scope.builder.nodes
    last = Softmax(len(x.type.shape) - 1, False)
    one = any(producer.result == x and producer.op == last for producer in nodes)
    if node.text("norm", "MAX") != "L1" or not one:
        raise Refused("Normalizer is only supported after a softmax", _RAW)
    return x


def _transform(node: NodeContext, allowed: tuple[str, ...]) -> str:
    found = node.text("post_transform", "NONE")
    if found not in allowed:
        raise Refused(f"{node.op_type} with post_transform {found} is not supported", _RAW)
    return found


def _dense(node: NodeContext, rows: int) -> Value:
    x = node.activation()
    given = np.asarray(node.attributes.get("coefficients", ()), np.float32)
    bias = np.asarray(node.attributes.get("intercepts") or (0.0,) * rows, np.float32)
    if len(x.type.shape) != 1 or given.size != rows * x.type.shape[0] or bias.size != rows:
        raise InvalidNode(f"has {given.size} coefficients for samples of {x.type.shape}")
    operands = node.constant("weight", given.reshape(rows, -1)), node.constant("bias", bias)
    return node.part("scores", Dense(), x, *operands)
