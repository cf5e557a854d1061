"""Which branches of a layer are fitted, and which of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.snn import Convolve, Relay
from qcompiler.passes.quantization.real_layer import LinearSynapse, RealLayer

Together: TypeAlias = "tuple[tuple[int, ...], ...]"  # indices of branches with the same weights

_NEARLY = 1e-6  # relative difference of scales that are equal up to rounding


def _fitted(real: RealLayer) -> tuple[int, ...]:
    """Indices of the branches whose weights are fitted.

    All layers, if they have the same number of groups; else those without groups.
    """
    layers = {i: b for i, b in enumerate(real.branches) if not isinstance(b.synapse, Relay)}
    blocks = {index: blocks_of(branch) for index, branch in layers.items()}
    alike = len(set(blocks.values())) == 1
    return tuple(index for index, count in blocks.items() if alike or count == 1)


def fitted_together(real: RealLayer, codes: Sequence[Spikes]) -> Together:
    """The branches that are fitted: those of one kind with the same weights belong together.

    Their sources add up, as the slices of one value do, so one number stands for each weight.
    """
    found: list[list[int]] = []
    for index in _fitted(real):
        known = next((some for some in found if _add_up(real, codes, some[0], index)), None)
        if known is None:
            found.append([index])
        else:
            known.append(index)
    return tuple(map(tuple, found))


def _add_up(real: RealLayer, codes: Sequence[Spikes], some: int, other: int) -> bool:
    one, two, code = real.branches[some], real.branches[other], codes[other]
    alike = codes[some] == code or is_remainder(codes[some], code)
    if code.zero or not alike or one.synapse != two.synapse:
        return False
    return one.weight is two.weight or np.array_equal(one.weight, two.weight)


def is_remainder(coarse: Spikes, code: Spikes) -> bool:
    """Whether a code spans one level of a coarser one: both are digits of a value."""
    span = code.scale * code.top
    return not coarse.zero and not code.zero and abs(span / coarse.scale - 1) < _NEARLY


def blocks_of(branch: LinearSynapse) -> int:
    """The number of groups of a branch, each a block of weights."""
    return branch.synapse.groups if isinstance(branch.synapse, Convolve) else 1
