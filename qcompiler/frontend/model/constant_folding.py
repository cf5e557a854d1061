"""Values that are known while compiling: weights, and arithmetic on shapes.

The size of a batch is not known, but exporters compute with it (``Shape``, ``Gather``, ``Concat``,
``Reshape``). So every known value is held as it is for each of a few probes: batch sizes that no
constant of a model is likely to meet. What is the same for all of them is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from .folding_limits import LIMIT, FoldingBudget, TooLarge, check_indices, check_size, folds
from .onnx_tensor import Array
from .single_node import run_node

__all__ = [
    "LIMIT",
    "PROBES",
    "FoldingBudget",
    "KnownArray",
    "TooLarge",
    "compute",
    "folds",
    "merge",
]

PROBES = (23, 29)
_ALL_TYPES = 21  # the opset from which quantisation takes every integer type


@dataclass(frozen=True, eq=False)
class KnownArray:
    """A value under each probe, and the name it has in the model."""

    arrays: tuple[Array, ...]
    name: str

    @property
    def fixed(self) -> Array | None:
        """The array, if it does not depend on the size of the batch."""
        return self.arrays[0] if all(a is self.arrays[0] for a in self.arrays) else None

    def changed(self, change: Callable[[Array], Array], name: str) -> KnownArray:
        """What a function makes of the value, under another name."""
        if self.fixed is not None:
            return KnownArray((change(self.fixed),) * len(self.arrays), name)
        return KnownArray(tuple(map(change, self.arrays)), name)


def merge(arrays: Sequence[Array], name: str) -> KnownArray:
    """A known value; arrays that are equal become one."""
    first = arrays[0]
    same = all(a.dtype == first.dtype and np.array_equal(a, first) for a in arrays[1:])
    return KnownArray((first,) * len(arrays) if same else tuple(arrays), name)


def compute(
    node: onnx.NodeProto,
    opset: int,
    inputs: Sequence[KnownArray | None],
    probes: int,
    budget: FoldingBudget | None = None,
) -> tuple[KnownArray, ...]:
    """The outputs of a node whose inputs are all known.

    Raises TooLarge, or whatever the evaluator raises for a node that makes no sense.
    """
    once = all(known is None or known.fixed is not None for known in inputs)
    found: list[list[Array]] = []
    for probe in range(1 if once else probes):
        feeds = {
            name: known.arrays[probe]
            for name, known in zip(node.input, inputs, strict=True)
            if known is not None
        }
        found.append(_run(node, opset, feeds, budget))
    results = zip((name for name in node.output if name), *found, strict=True)
    return tuple(
        KnownArray((arrays[0],) * probes, name) if once else merge(arrays, name)
        for name, *arrays in results
    )


def _run(
    node: onnx.NodeProto, opset: int, feeds: dict[str, Array], budget: FoldingBudget | None
) -> list[Array]:
    if node.op_type == "Range":  # for which ONNX's own functions give vectors of one number
        feeds = {
            name: array.reshape(()) if array.size == 1 else array for name, array in feeds.items()
        }
    if node.op_type in ("DequantizeLinear", "QuantizeLinear"):
        opset = max(opset, _ALL_TYPES)
    work = check_size(node, opset, feeds)
    check_indices(node, feeds)
    results = run_node(node, opset, feeds)
    if budget is not None:
        budget.spend([*feeds.values()], results, work)
    return results
