"""Operators that the host computes: importers, and which nodes they are."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.frontend.importers.composites.softmax import behind_mask, softmax
from qcompiler.frontend.importers.elementwise.activations import arg_max
from qcompiler.frontend.importers.layers.sequence_lengths import is_length as is_length
from qcompiler.frontend.importers.layers.sklearn import linear_classifier
from qcompiler.frontend.importers.layers.support_vectors import svm_classifier
from qcompiler.frontend.importers.layers.top_k import of_one as of_one
from qcompiler.frontend.importers.layers.top_k import sorts
from qcompiler.frontend.importers.quantised.operators import qlinear_softmax
from qcompiler.frontend.importers.views.embedding import is_look_up
from qcompiler.frontend.model.node_context import NodeContext

from .batch_places import Importer
from .table_of_views import VIEWS

# Computed by the host on the decoded outputs, so nothing but views may follow.
HOST: Mapping[str, Importer] = {
    "ArgMax": arg_max,
    "ArgMin": arg_max,
    "LogSoftmax": softmax,
    "Softmax": softmax,
    "ai.onnx.ml.LinearClassifier": linear_classifier,
    "ai.onnx.ml.SVMClassifier": svm_classifier,
    "com.microsoft.QLinearSoftmax": qlinear_softmax,
}

# A layer, whose scores alone the host reads.
_LAYERS = frozenset({"ai.onnx.ml.LinearClassifier", "ai.onnx.ml.SVMClassifier"})

AFTER_HOST = frozenset({*VIEWS, *HOST, "DequantizeLinear", "QuantizeLinear"}) - _LAYERS


def on_host(node: NodeContext) -> bool:
    """Whether the host computes the result of a node: not that of a softmax behind a mask."""
    if sorts(node):
        return True
    return node.op_type in HOST and not (HOST[node.op_type] is softmax and behind_mask(node))


def follows_host(node: NodeContext) -> bool:
    """Whether the host may compute a node that reads what the host has computed."""
    return node.op_type in AFTER_HOST or sorts(node)


def looks_up(node: NodeContext) -> bool:
    """Whether the host looks the result up in front of the network."""
    return node.op_type == "Gather" and is_look_up(node)
