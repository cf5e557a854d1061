"""Sums of fusion groups in double precision, computed once for slices that differ in their bias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qcompiler.ir.ann import Conv, Dense
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import Branch, FusionGroup

_BATCH = 1 << 20  # sums computed at once


class PreciseSums:
    """Sums of groups before their clip, ``images x shape``, kept in single precision.

    They are the same on nearly every machine: the last bits of single-precision sums depend on the
    processor.
    """

    def __init__(self) -> None:
        self._last: tuple[list[Any], Array] | None = None

    def of(self, group: FusionGroup, sources: Sequence[Array]) -> Array:
        """The sums for the values of the source of each branch, ``images x shape``."""
        key = [part for branch in group.branches for part in _map_of(branch)] + [*sources]
        if self._last is None or not _alike(self._last[0], key):
            self._last = None  # frees its memory before the next takes some
            self._last = key, _without_bias(group, sources)
        found, sums = np.empty(self._last[1].shape, np.float32), self._last[1]
        bias = sum(_bias_of(branch) for branch in group.branches)
        for some in _batches(found):
            total = sums[some] + bias
            gain = group.gain
            found[some] = apply(gain.op, total, *gain.arrays) if gain else total
        return found


def _without_bias(group: FusionGroup, sources: Sequence[Array]) -> Array:
    """The sums without the bias of layers, in double precision."""
    shape = group.result.type.shape
    found = np.empty((len(sources[0]), *shape))
    for some in _batches(found):
        parts = [source[some].astype(np.float64) for source in sources]
        found[some] = sum(_mapped(b, x) for b, x in zip(group.branches, parts, strict=True))
    return found


def _batches(array: Array) -> Iterator[slice]:
    step = max(1, _BATCH // max(1, array[0].size))
    return (slice(begin, begin + step) for begin in range(0, len(array), step))


def _mapped(branch: Branch, x: Array) -> Array:
    node = branch.linear
    if node is None:
        return x
    if isinstance(node.op, Conv | Dense):
        return apply(node.op, x, node.arrays[0], np.zeros(()))
    return apply(node.op, x, *node.arrays)


def _bias_of(branch: Branch) -> Array:
    node = branch.linear
    return node.arrays[1] if node and isinstance(node.op, Conv | Dense) else np.zeros(())


def _map_of(branch: Branch) -> list[Any]:
    """What the sums of a branch without bias depend on, besides the source."""
    node = branch.linear
    if node is None:
        return [None]
    return [node.op, *(node.arrays[:1] if isinstance(node.op, Conv | Dense) else node.arrays)]


def _alike(some: list[Any], others: list[Any]) -> bool:
    """Whether two keys are equal; arrays are if they are the same object."""
    return len(some) == len(others) and all(
        one is other or (not isinstance(one, np.ndarray) and one == other)
        for one, other in zip(some, others, strict=True)
    )
