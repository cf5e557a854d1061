"""Importer of scikit-learn's Normalizer: rows divided by their norms."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.refusals import RAW_SCORES
from qcompiler.ir import Value
from qcompiler.ir.ann import Softmax

from .normalization import lp_normalization

_HELP = (
    "scale samples outside the network, or by the norm L1 or L2, which are products; "
    f"if it scales probabilities, {RAW_SCORES}"
)


def normalizer(node: NodeContext) -> Value:
    """Normalizer of ai.onnx.ml: nothing to do behind a softmax, else a product."""
    x, norm = node.activation(), node.text("norm", "MAX")
    last = Softmax(len(x.type.shape) - 1, False)
    made = node.scope.builder.producer(x)
    if norm == "L1" and made is not None and made.op == last:
        return x
    if norm == "MAX" or not node.scope.allow_products:
        raise Refused("Normalizer is only supported after a softmax", _HELP)
    attributes = {"p": int(norm == "L2") + 1, "axis": len(x.type.shape)}
    return lp_normalization(replace(node, attributes=attributes))
