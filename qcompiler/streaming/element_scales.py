"""Scales of their own for the elements of a state, which the host takes in at both ends.

What becomes spikes is the state times a factor of each element. Zero stays zero: products with a
state take a factor in, but no offset.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.passes.tensor.fold_batchnorm import FoldBatchNorm
from qcompiler.passes.tensor.fold_linear import FoldLinear

_UNLIKE = 2.0  # ratio of what elements reach: one bit is lost
_NARROWEST = 1e-30  # what single precision can divide by


def factors_of(seen: Array, state: State) -> Iterator[Array]:
    """Factors that let all indices of an axis reach 1 on ``frames x shape``, where they do not.

    They are shaped to spread over a sample. Elements that are always zero have the factor of the
    largest.
    """
    for axis in range(1, seen.ndim):
        rest = tuple(other for other in range(seen.ndim) if other != axis)
        reach = np.abs(seen).max(axis=rest, keepdims=True)[0].astype(np.float64)
        reach = np.maximum(reach, abs(state.initial))
        reach = np.where(reach > 0, reach, reach.max())
        if reach.max() > _UNLIKE * reach.min() > _NARROWEST:
            yield (1 / reach).astype(np.float32)


def costs_nothing(graph: Graph, other: Graph) -> bool:
    """Whether a graph becomes no more populations than another one."""
    one, two = (spiking_values(FoldLinear()(FoldBatchNorm()(g))) for g in (graph, other))
    return len(one) <= len(two)
