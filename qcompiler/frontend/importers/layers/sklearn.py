"""Importers of scikit-learn's linear models, and of what its pipelines put around a network."""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.refusals import CUT_BEFORE_TRANSFORM, RAW_SCORES
from qcompiler.ir import Constant, Tensor, Value, size
from qcompiler.ir.ann import Affine, ArgMax, Clip, Dense, Function, Lookup, Softmax
from qcompiler.ir.view import Reshape
from qcompiler.passes.folding.two_classes import LARGEST_SCORE

_LABELS = "add 'nocl': True to the options: labels are 0, 1, 2, .. in the order of classes_"
_NUMBERED = (
    "number the labels before fit, as LabelEncoder does; or keep only the probabilities: "
    "select_model_inputs_outputs(model, ['probabilities']) of skl2onnx.helpers.onnx_helper"
)
_IMPUTE = "replace missing values outside the network, and export the rest of the pipeline"
_NEIGHBOURS = (
    "nearest neighbours are no network: train one in place of KNeighborsClassifier; or cut the "
    "model before this node, and look labels up on the decoded outputs"
)
_STRINGS = "labels that are strings are not supported"


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
        given = node.fixed(1, "indices")
        if given is None or given.dtype.kind not in "iu":
            raise InvalidNode("has no integers as its indices")
        places = tuple(int(place) for place in given.reshape(-1))
        x, length = node.activation(), node.activation().type.shape[-1]
        if not all(0 <= place < length for place in places):
            raise InvalidNode(f"takes columns {places} of {length}")
        return take_indices(node, x, len(x.type.shape) - 1, places)
    labels, index = node.fixed(0, "labels"), node.item(1)
    if labels is None or not isinstance(index, Value) or not _is_one_index(index):
        raise Refused("ArrayFeatureExtractor is only supported for one label", _NEIGHBOURS)
    if labels.dtype.kind not in "iu":
        raise Refused(_STRINGS, _NUMBERED)
    return labelled(node, node.part("index", Reshape(()), index), labels)


def _is_one_index(value: Value) -> bool:
    kind = value.type
    return isinstance(kind, Tensor) and kind.dtype == "i64" and size(kind) == 1


def labelled(node: NodeContext, index: Value, labels: Array) -> Value:
    """The label of a class, by its index, under the node's first result; on the host."""
    if np.array_equal(labels.ravel(), np.arange(labels.size)):
        return node.add(Reshape(index.type.shape), index)
    table = node.scope.constant(f"{node.name}.labels", labels.ravel().astype(np.int64))
    return node.add(Lookup(), index, table)


def label_classes(node: NodeContext, help_: str = _LABELS) -> tuple[int, ...]:
    """The labels of a classifier, which must be integers."""
    labels = node.integers("classlabels_ints")
    if labels is None:
        raise Refused(_STRINGS, help_)
    return labels


def linear_regressor(node: NodeContext) -> Value:
    """LinearRegressor of ai.onnx.ml: a dense layer."""
    transform(node, ("NONE",))
    return node.part("scores", Dense(), *_layer(node, node.integer("targets", 1)))


def linear_classifier(node: NodeContext) -> tuple[Value, ...]:
    """LinearClassifier of ai.onnx.ml: a dense layer, its largest score, and what becomes of all."""
    post = transform(node, ("NONE", "SOFTMAX", "LOGISTIC"))
    labels = node.integers("classlabels_ints")
    rows = len(node.attributes.get("intercepts", ())) or len(labels or ())
    if rows == 1:
        raise Refused(f"{node.op_type} with a score of only one class is not supported", RAW_SCORES)
    labels = label_classes(node)
    if len(labels) != rows:
        raise InvalidNode(f"has {len(labels)} labels for {rows} classes")
    opposite = post == "LOGISTIC" and _are_opposite(node, rows)
    layer = _layer(node, rows, 0.5 if opposite else 1.0)
    scores = node.part("scores", Dense(), *layer)
    if opposite:
        scores = node.part("clipped", Clip(-LARGEST_SCORE, LARGEST_SCORE), scores)
    index = node.part("index", ArgMax(0, False, False), scores)
    label = labelled(node, index, np.asarray(labels))
    if post == "SOFTMAX" or opposite:
        scores = node.part("softmax", Softmax(0, False), scores)
    elif post == "LOGISTIC":  # levels for the label and those for a function lie elsewhere
        inner = node.part("inner", Dense(), *layer)
        scores = node.part("sigmoid", Function("x sigmoid"), inner)
    return label, scores


def _are_opposite(node: NodeContext, rows: int) -> bool:
    """Whether there are two scores, x and -x: their sigmoids are the softmax of their halves."""
    given = [np.asarray(node.attributes.get(name, ())) for name in ("coefficients", "intercepts")]
    pairs = [array.reshape(2, -1) for array in given if rows == 2 and array.size % 2 == 0]
    return len(pairs) == 2 and all(np.array_equal(one, -other) for one, other in pairs)


def imputer(node: NodeContext) -> Value:
    """Imputer of ai.onnx.ml: nothing to do, as data without a value are not run."""
    missing = node.attributes.get("replaced_value_float", 0.0)
    if "replaced_value_int64" in node.attributes or not np.isnan(missing):
        raise Refused("Imputer of other values than NaN is not supported", _IMPUTE)
    x = node.activation()
    return node.add(Reshape(x.type.shape), x) if x.name in node.scope.kinds else x


def transform(node: NodeContext, allowed: tuple[str, ...]) -> str:
    """What becomes of the scores or values, by its name; one of those ``allowed``."""
    found = node.text("post_transform", "NONE")
    if found not in allowed:
        reason = f"{node.op_type} with post_transform {found} is not supported"
        raise Refused(reason, CUT_BEFORE_TRANSFORM)
    return found


def _layer(node: NodeContext, rows: int, gain: float = 1.0) -> tuple[Value | Constant, ...]:
    """What a dense layer reads: values, weights and biases."""
    x = node.activation()
    given = np.asarray(node.attributes.get("coefficients", ()), np.float32)
    bias = np.asarray(node.attributes.get("intercepts") or (0.0,) * rows, np.float32)
    if len(x.type.shape) != 1 or given.size != rows * x.type.shape[0] or bias.size != rows:
        raise InvalidNode(f"has {given.size} coefficients for samples of {x.type.shape}")
    weight = given.reshape(rows, -1) * np.float32(gain)
    return x, node.constant("weight", weight), node.constant("bias", bias * np.float32(gain))
