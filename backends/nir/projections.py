"""Synapses as nodes of NIR: convolutions, scales, or matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.backends.loihi.netlist.netlist import Netlist, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import synapse_triples
from qcompiler.ir import ProgramError
from qcompiler.ir.kernels import Array

from .square_kernels import SquareKernel, square_kernel

_MOST_WEIGHTS = 1 << 26  # of a matrix in a file


def floats(integers: Any) -> Array:
    """Integers as NIR's floating point: of single precision, if that is exact."""
    single = np.asarray(integers, np.float64).astype(np.float32)
    found: Array = single if np.array_equal(single, integers) else np.asarray(integers, np.float64)
    return found


class Shapes:
    """Shapes of sources and populations in NIR, which knows no view but flattening.

    A population is a vector in place of an image if it reads through another view, or if its
    sender is a vector and it would need an image.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.whole = {row.name: row.shape for row in netlist.sources}
        self.whole |= {group.name: group.shape for group in netlist.populations}
        rows = [row for row in netlist.synapses if row.kind in ("kernel", "each")]
        self.flat: set[str] = set()
        while new := {row.target for row in rows if not self._keeps(row)} - self.flat:
            self.flat |= new

    def __getitem__(self, name: str) -> tuple[int, ...]:
        shape = self.whole[name]
        return (int(np.prod(shape, dtype=np.int64)),) if name in self.flat else shape

    def _keeps(self, row: Synapses) -> bool:
        """Whether the target can stay an image as far as this row is concerned."""
        if row.kind == "each":
            return self.scales(row) or len(self.whole[row.target]) == 1
        return row.source not in self.flat and self.kernel(row) is not None

    def kernel(self, row: Synapses) -> SquareKernel | None:
        """The convolution that a row is, if NIR can write it."""
        if row.kind != "kernel" or row.source in self.flat:
            return None
        return square_kernel(row, self.whole[row.source])

    def scales(self, row: Synapses) -> bool:
        """Whether a row leads from each neuron to the one with the same place."""
        one_to_one = row.kind == "each" and row.order is None
        same = self.whole[row.source] == self.whole[row.target]
        return one_to_one and same and len(self[row.source]) >= len(self[row.target])


def projection(shapes: Shapes, row: Synapses) -> list[Any]:
    """The nodes between the spikes of a row's source and its target's current, in order.

    Raises ProgramError if only a matrix that is too large would do.
    """
    import nir

    source, target = shapes[row.source], shapes[row.target]
    if shapes.scales(row):
        whole = np.broadcast_to(row.weights, shapes.whole[row.target])
        scale = nir.Scale(floats(whole.reshape(source)))
        return [scale] if source == target else [scale, flatten(source)]
    if (kernel := shapes.kernel(row)) is not None:
        nodes = [_convolution(kernel, source)]
        return nodes if len(target) > 1 else [*nodes, flatten(shapes.whole[row.target])]
    nodes = [] if len(source) == 1 else [flatten(source)]
    return [*nodes, nir.Linear(floats(_matrix(shapes, row)))]


def flatten(shape: tuple[int, ...]) -> Any:
    """A node that makes a vector of an image."""
    import nir

    return nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1)


def _convolution(kernel: SquareKernel, shape: tuple[int, ...]) -> Any:
    import nir

    weight, bias = floats(kernel.weight), np.zeros(len(kernel.weight), np.float32)
    given = kernel.strides, kernel.padding, kernel.dilations
    if len(shape) == 2:
        return nir.Conv1d(shape[1], weight, *(axes[0] for axes in given), 1, bias)
    return nir.Conv2d(shape[1:], weight, *given, 1, bias)


def _matrix(shapes: Shapes, row: Synapses) -> Array:
    """The weights of a row as ``receivers x senders``."""
    receivers = shapes.whole[row.target]
    size = [int(np.prod(s, dtype=np.int64)) for s in (receivers, shapes.whole[row.source])]
    if size[0] * size[1] > _MOST_WEIGHTS:
        raise ProgramError(
            f"the synapses from %{row.source} to %{row.target} are no convolution that NIR can "
            f"write, and a matrix of {size[0]} x {size[1]} weights is too large: compile for "
            "another target"
        )
    sending, receiving, weights = synapse_triples(row, receivers)
    found = np.zeros(size)
    np.add.at(found, (receiving, sending), weights)
    return found
