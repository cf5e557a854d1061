"""Sums of what calibration images send through the synapses of a population."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Any

import numpy as np

from qcompiler.ir.execution.integer_sums import has_integer_kernel, write_integer_sum
from qcompiler.ir.execution.session import OnnxWriter
from qcompiler.ir.execution.write_nodes import write_synapse
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay, Synapse

_MEMORY = 1 << 29  # bytes of the arrays in use
_BYTES = 16  # bytes per element in use


class SynapseSum:
    """The sum of several synapses, run on onnxruntime; arrays are the levels of their sources.

    Of ``spikes`` sums are int32 where 8-bit kernels compute them.
    """

    def __init__(
        self,
        synapses: Sequence[tuple[Synapse, Array]],
        arrays: Sequence[Array],
        spikes: bool = False,
    ) -> None:
        writer = OnnxWriter()
        narrow = spikes and all(starmap(has_integer_kernel, synapses))
        self.kind: Any = np.uint8 if narrow else np.float32
        self.names = [
            writer.input(writer.name("levels"), array.shape[1:], self.kind) for array in arrays
        ]
        outputs: dict[str, Any]
        if narrow:
            outputs = {write_integer_sum(writer, synapses, self.names): np.int32}
        else:
            sums = (
                write_synapse(writer, s[0], n, s[1])
                for s, n in zip(synapses, self.names, strict=True)
            )
            outputs = {writer.add("Sum", *sums): np.float32}
        self.session = writer.session(outputs)
        self.neurons = self([array[:1] for array in arrays]).size
        fans = (1 if isinstance(s, Relay) else w[0].size for s, w in synapses)
        self.products = self.neurons * sum(fans)

    def __call__(self, arrays: Sequence[Array]) -> Array:
        """The sums for some images, ``images x shape``."""
        given = {n: a.astype(self.kind) for n, a in zip(self.names, arrays, strict=True)}
        (found,) = self.session.run(None, given)
        result: Array = found
        return result

    def parts(self, arrays: Sequence[Array], copies: int) -> Iterator[list[Array]]:
        """Batches of images that fit into memory ``copies`` times, sums included."""
        one = sum(array[0].size for array in arrays) + self.neurons
        step = max(1, _MEMORY // (_BYTES * copies * one))
        for begin in range(0, len(arrays[0]), step):
            yield [array[begin : begin + step] for array in arrays]
