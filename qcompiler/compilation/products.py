"""Products of a model: those that any machine computes for it, and the neurons they take here."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from math import prod

import numpy as np

from qcompiler.frontend.import_model import Imported
from qcompiler.ir import Constant, Graph, Node, size
from qcompiler.ir.ann import Conv, Dense, Multiply
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.integer_network import spiking_nodes
from qcompiler.ir.types import Tensor

# Of these a layer is made here whose weights are no weights of the model's.
_UNWEIGHTED = ("Normalization", "LRN", "Encoder", "CumSum", "Resize", "Upsample")
_MATRICES = ("MatMul", "Einsum", "Gemm", "Attention")


def model_products(graph: Graph, imported: Imported) -> int:
    """Products for one sample: weight times value of layers, value times value of matrix products.

    ``graph`` is the imported one, or a part of it. Normalizations, products element by element, and
    those of a recurrent layer with its first state of zeros, are not counted. Convolutions that are
    transposed count their weights that are not zero, at each position of their input.
    """
    named = Counter(outcome.name for outcome in imported.report)
    kinds = {one.name: one.op_type for one in imported.report if named[one.name] == 1}
    return imported.folded_products + sum(
        _of(node, kinds.get("".join(node.origin[:1]), "")) for node in graph.nodes
    )


def neurons_of_products(compiled: Graph, products: frozenset[str]) -> int:
    """Neurons of a compiled graph that bear the names of products of two values, or names in front.

    These are bits, gates and sums, and what they have been split into.
    """
    own = (n for n in spiking_nodes(compiled) if not isinstance(n.op, Encode))
    return sum(
        size(node.result.type)
        for node in own
        if not products.isdisjoint(accumulate(node.result.name.split(":"), "{}:{}".format))
    )


def _of(node: Node, kind: str) -> int:
    assert isinstance(node.result.type, Tensor)
    elements = prod(node.result.type.shape)
    if isinstance(node.op, Multiply):
        return elements if any(name in kind for name in _MATRICES) else 0
    if not isinstance(node.op, Conv | Dense) or kind.endswith(_UNWEIGHTED):
        return 0
    weight = node.operands[1]
    assert isinstance(weight, Constant)
    if kind == "ConvTranspose":  # the phases of its result are channels, with zeros in between
        assert isinstance(node.operands[0].type, Tensor)
        return int(np.count_nonzero(weight.data)) * prod(node.operands[0].type.shape[1:])
    return elements * prod(weight.data.shape[1:])
