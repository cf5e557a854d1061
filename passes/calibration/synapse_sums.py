"""Sums of what calibration images send through the synapses of a population."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import starmap
from typing import Any

import numpy as np

from qcompiler.ir.execution.integer_sums import has_integer_kernel, write_integer_sum
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_synapse
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse

_BYTES = 16  # bytes per element in use
WIDE = 129  # numbers that times 127, twice, exceed the 16 bits of some processors' kernels


class SynapseSum:
    """The sum of several synapses, run on onnxruntime in the calling thread.

    Arrays are the levels of their sources. Sources of the same weights, such as the slices of a
    value, are added up first. Synapses of one kind are one kernel, which reads channels of one
    behind those of another. Sums are int32 where 8-bit kernels compute them: of levels up to
    ``tops``, if these are given.
    """

    def __init__(
        self,
        synapses: Sequence[tuple[Synapse, Array]],
        arrays: Sequence[Array],
        tops: Sequence[int] | None = None,
    ) -> None:
        self._alike = _alike(synapses, arrays)
        most = [WIDE] * len(arrays) if tops is None else tops
        narrow = all(sum(most[at] for at in alike) < WIDE for alike in self._alike)
        narrow = narrow and all(starmap(has_integer_kernel, synapses))
        self.kind: Any = np.uint8 if narrow else np.float32
        firsts = [first for first, *_ in self._alike]
        unlike = [synapses[at] for at in firsts]
        self._stacks = _stacks(unlike, [arrays[at] for at in firsts])
        stacked = [_stacked([unlike[at] for at in stack]) for stack in self._stacks]
        writer = OnnxWriter()
        self.names = [
            writer.input(writer.name("levels"), joined.shape[1:], self.kind)
            for joined in self._joined([array[:1] for array in arrays])
        ]
        outputs: dict[str, Any]
        if narrow:
            outputs = {write_integer_sum(writer, stacked, self.names): np.int32}
        else:
            sums = (
                write_synapse(writer, s[0], n, s[1])
                for s, n in zip(stacked, self.names, strict=True)
            )
            outputs = {writer.add("Sum", *sums): np.float32}
        elements = sum(array.size for array in arrays)
        self.session = writer.session(outputs, threads=1, elements=elements)
        one = self([array[:1] for array in arrays])
        self.shape, self.result = one.shape[1:], one.dtype
        self.neurons = one.size
        fans = (1 if isinstance(s, Relay) else w[0].size for s, w in synapses)
        self.products = self.neurons * sum(fans)

    def __call__(self, arrays: Sequence[Array]) -> Array:
        """The sums for some images, ``images x shape``."""
        (found,) = self.session.run(None, dict(zip(self.names, self._joined(arrays), strict=True)))
        result: Array = found
        return result

    def parts(self, arrays: Sequence[Array], copies: int, memory: int) -> Iterator[list[Array]]:
        """Batches of images that fit into so many bytes ``copies`` times, sums included."""
        one = sum(array[0].size for array in arrays) + self.neurons
        step = max(1, memory // (_BYTES * copies * one))
        for begin in range(0, len(arrays[0]), step):
            yield [array[begin : begin + step] for array in arrays]

    def _joined(self, arrays: Sequence[Array]) -> Iterator[Array]:
        """What each kernel reads."""
        for stack in self._stacks:
            some = [self._added([arrays[at] for at in self._alike[one]]) for one in stack]
            if len(some) == 1:
                yield some[0].astype(self.kind, copy=False)
                continue
            yield np.concatenate(some, axis=1, dtype=self.kind, casting="unsafe")

    def _added(self, arrays: Sequence[Array]) -> Array:
        """The sum of sources of the same weights."""
        first, *others = arrays
        if not others:
            return first
        total = first.astype(self.kind)
        for other in others:
            np.add(total, other, out=total, casting="unsafe")
        return total


def _alike(synapses: Sequence[tuple[Synapse, Array]], arrays: Sequence[Array]) -> list[list[int]]:
    """Indices of synapses that have the same weights, which are one array."""
    found: dict[Hashable, list[int]] = {}
    for at, ((synapse, weight), array) in enumerate(zip(synapses, arrays, strict=True)):
        found.setdefault((synapse, id(weight), array.shape[1:]), []).append(at)
    return [*found.values()]


def _stacks(synapses: Sequence[tuple[Synapse, Array]], arrays: Sequence[Array]) -> list[list[int]]:
    """Indices of synapses that can be one kernel."""
    found: dict[Hashable, list[int]] = {}
    for at, ((synapse, weight), array) in enumerate(zip(synapses, arrays, strict=True)):
        kind: Hashable = at
        if isinstance(synapse, Convolve) and synapse.groups == 1:
            kind = synapse, weight.shape[2:], array.shape[2:]
        elif isinstance(synapse, Connect) and array.ndim == 2:
            kind = synapse
        found.setdefault(kind, []).append(at)
    return [*found.values()]


def _stacked(synapses: Sequence[tuple[Synapse, Array]]) -> tuple[Synapse, Array]:
    """Synapses of one kind as one."""
    if len(synapses) == 1:
        return synapses[0]
    return synapses[0][0], np.concatenate([weight for _, weight in synapses], axis=1)
