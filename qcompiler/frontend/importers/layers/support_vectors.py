"""Importers of support vector machines with a linear kernel, which are dense layers."""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import ArgMax, Dense

from .sklearn import label_classes, labelled, transform

_KERNEL = "fit it with kernel='linear', or train a network, such as MLPClassifier or MLPRegressor"
_VOTES = "fit LinearSVC, which has one score a class"
_PROBABILITIES = "fit it with probability=False: the sign of the score decides"
_NUMBERED = "number the labels before fit, as LabelEncoder does"
_BOTH = "fit it with samples of both classes, or end the model before this node"
_ONE_CLASS = "end the model before this node, and compute it outside qcompiler"


def svm_regressor(node: NodeContext) -> Value:
    """SVMRegressor of ai.onnx.ml: the sum over support vectors is one row of weights."""
    if node.integer("one_class", 0):
        raise Refused("SVMRegressor of one class is not supported", _ONE_CLASS)
    weight, bias = _row(node)
    return _dense(node, "value", weight[None], np.array([bias]))


def svm_classifier(node: NodeContext) -> tuple[Value, ...]:
    """SVMClassifier of ai.onnx.ml with two classes: one decision, which the scores hold twice."""
    labels = label_classes(node, _NUMBERED)
    if len(labels) != 2:
        raise Refused(f"SVMClassifier with votes of {len(labels)} classes is not supported", _VOTES)
    if node.attributes.get("prob_a"):
        raise Refused("SVMClassifier with probabilities is not supported", _PROBABILITIES)
    if min(node.attributes.get("coefficients", ()), default=0.0) >= 0:
        raise Refused(
            "SVMClassifier without support vectors of both classes is not supported", _BOTH
        )
    weight, bias = _row(node)
    scores = _dense(node, "scores", np.stack([-weight, weight]), np.array([-bias, bias]))
    index = node.part("index", ArgMax(0, False, False), scores)  # a positive decision: the first
    return labelled(node, index, np.asarray(labels[::-1])), scores


def _row(node: NodeContext) -> tuple[Array, float]:
    """The weights of the decision, and its shift."""
    kernel = node.text("kernel_type", "LINEAR")
    if kernel != "LINEAR":
        raise Refused(f"{node.op_type} with the kernel {kernel} is not supported", _KERNEL)
    transform(node, ("NONE",))
    names = "coefficients", "support_vectors", "rho"
    given, vectors, rho = (np.asarray(node.attributes.get(name, ()), np.float64) for name in names)
    width = node.activation().type.shape[-1]
    if vectors.size != given.size * width or rho.size != 1 or len(node.activation().type.shape) > 1:
        shape = node.activation().type.shape
        raise InvalidNode(f"has {vectors.size} numbers of vectors for samples of {shape}")
    return given @ vectors.reshape(-1, width), float(rho[0])


def _dense(node: NodeContext, role: str, weight: Array, bias: Array) -> Value:
    constants = (("weight", weight), ("bias", bias))
    operands = [node.constant(name, array.astype(np.float32)) for name, array in constants]
    return node.part(role, Dense(), node.activation(), *operands)
