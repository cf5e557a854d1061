"""Samples the rows of a layer's regression: inputs and targets at images and positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array, windows
from qcompiler.ir.snn import Convolve, Relay
from qcompiler.ir.spiking.coding import decode
from qcompiler.passes.quantization.real_layer import LinearSynapse

_ROWS = (1 << 13, 1 << 15)  # fewest and most, times 4 for each effort above 1
_ROWS_AN_INPUT = 24
_AT_ONCE = 512  # rows whose inputs stay in the cache


@dataclass(frozen=True)
class SamplePositions:
    """The image and the output position of each row."""

    image: Array
    at: tuple[Array, ...]

    def of(self, array: Array) -> Array:
        """``rows x channels`` of an array that broadcasts to ``images x channels x space``."""
        image = self.image if len(array) > 1 else 0 * self.image
        axes = (at if n > 1 else 0 * at for at, n in zip(self.at, array.shape[2:], strict=True))
        chosen: Any = (image, slice(None), *axes)
        result: Array = array[chosen]
        return result

    def parts(self) -> Iterator[tuple[slice, slice, SamplePositions]]:
        """Some rows at a time, their images, and their positions in these."""
        for begin in range(0, len(self.image), _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            image = self.image[some]
            first, last = int(image.min()), int(image.max())
            places = SamplePositions(image - first, tuple(at[some] for at in self.at))
            yield some, slice(first, last + 1), places


def sample_positions(
    shape: tuple[int, ...], images: int, inputs: int, most: int, effort: int = 1
) -> SamplePositions:
    """Random positions, at most ``most``, the same in every run; ``inputs`` is the fan-in.

    With ``effort`` 2 they are four times as many.
    """
    space = shape[1:]
    everywhere = images * int(np.prod(space))
    rows = min(most, 4 ** (effort - 1) * int(np.clip(_ROWS_AN_INPUT * inputs, *_ROWS)))
    flat = np.arange(everywhere)
    if everywhere > rows:
        flat = np.sort(np.random.default_rng(inputs).choice(everywhere, rows, replace=False))
    image, *at = np.unravel_index(flat, (images, *space))
    return SamplePositions(image, tuple(at))


def input_rows(branch: LinearSynapse, values: Array, places: SamplePositions) -> Array:
    """The inputs of each row's neuron (im2col), ``groups x rows x inputs``."""
    synapse = branch.synapse
    assert not isinstance(synapse, Relay)
    if not isinstance(synapse, Convolve):
        return values.reshape(1, len(values), -1)[:, places.image]
    view = windows(values, synapse, branch.weight.shape[2:], 0)
    chosen: Any = (places.image, slice(None), *places.at)
    rows: Array = view[chosen]
    return rows.reshape(len(rows), synapse.groups, -1).transpose(1, 0, 2)


def apply_weights(
    branch: LinearSynapse, levels: Array, code: Spikes, places: SamplePositions
) -> Array:
    """The sums of a branch over its source's levels in double precision, ``rows x outputs``."""
    weight = branch.weight
    if isinstance(branch.synapse, Relay):
        values = decode(code, places.of(levels), np.float32)
        return values.astype(np.float64) * places.of(weight[None])
    seen = input_rows(branch, decode(code, levels, np.float32), places).astype(np.float64)
    blocks = weight.reshape(len(seen), -1, seen.shape[2]).astype(np.float64)
    return (seen @ blocks.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(seen.shape[1], -1)
