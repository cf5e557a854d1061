"""Sums of fusion groups in double precision, computed once for slices that differ in their bias."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import reduce

import numpy as np

from qcompiler.ir import Graph, Node
from qcompiler.ir.ann import Conv, Dense
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.execution.threads import in_threads
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.fusion_groups import Branch, FusionGroup, fusion_groups

_BATCH = 1 << 17  # sums computed at once: so many stay in the cache


class PreciseSums:
    """Sums of groups before their clip, ``images x shape``, kept in single precision.

    They are the same on nearly every machine: the last bits of single-precision sums depend on the
    processor. Sums without bias are kept while another slice needs them.
    """

    def __init__(self, graph: Graph) -> None:
        self._left = Counter(map(map_of, fusion_groups(graph)))
        self._kept: dict[Hashable, Array] = {}

    def of(self, group: FusionGroup, sources: Sequence[Array]) -> Array:
        """The sums for the values of the source of each branch, ``images x shape``."""
        which = map_of(group)
        self._left[which] -= 1
        known, keep = self._kept.pop(which, None), self._left[which] > 0
        found = np.empty((len(sources[0]), *group.result.type.shape), np.float32)
        kept = np.empty(found.shape) if known is None and keep else known
        bias, gain = sum(bias_of(branch) for branch in group.branches), group.gain

        def run(images: slice) -> None:
            for some in _batches(images, found[0].size):
                if known is None:
                    sums = reduce(np.add, (_mapped(*one) for one in _read(group, sources, some)))
                    if kept is not None:
                        kept[some] = sums
                else:
                    sums = known[some]
                total = sums + bias
                found[some] = apply(gain.op, total, *gain.arrays) if gain else total

        in_threads(run, len(found))
        if kept is not None and keep:
            self._kept[which] = kept
        return found


def _batches(images: slice, sums: int) -> Iterator[slice]:
    step = max(1, _BATCH // max(1, sums))
    for begin in range(images.start, images.stop, step):
        yield slice(begin, min(begin + step, images.stop))


def _read(
    group: FusionGroup, sources: Sequence[Array], some: slice
) -> Iterator[tuple[Branch, Array]]:
    """Branches and what they read; slices that one layer reads with the same weights are summed."""
    alike: dict[Hashable, list[int]] = {}
    for at, (branch, source) in enumerate(zip(group.branches, sources, strict=True)):
        layer = branch.linear is not None and isinstance(branch.linear.op, Conv | Dense)
        kind: Hashable = (source.shape, *_operator(branch.linear)) if layer else at
        alike.setdefault(kind, []).append(at)
    for first, *others in alike.values():
        x = sources[first][some].astype(np.float64)
        for at in others:
            x += sources[at][some]
        yield group.branches[first], x


def _mapped(branch: Branch, x: Array) -> Array:
    node = branch.linear
    if node is None:
        return x
    if isinstance(node.op, Conv | Dense):
        return apply(node.op, x, node.arrays[0], np.zeros(()))
    return apply(node.op, x, *node.arrays)


def bias_of(branch: Branch) -> Array:
    """The bias of a layer; 0 for other branches."""
    node = branch.linear
    return node.arrays[1] if node and isinstance(node.op, Conv | Dense) else np.zeros(())


def map_of(group: FusionGroup) -> Hashable:
    """What the sums of a group without bias depend on."""
    return tuple((branch.source.name, *_operator(branch.linear)) for branch in group.branches)


def _operator(node: Node | None) -> Iterator[Hashable]:
    """The operator of a branch, and its constants except the bias of a layer, by identity."""
    if node is not None:
        biased = isinstance(node.op, Conv | Dense)
        yield node.op
        yield from map(id, node.arrays[:1] if biased else node.arrays)
