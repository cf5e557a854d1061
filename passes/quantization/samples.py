"""Rows of inputs and targets of a layer, at a sample of images and places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array, windows
from qcompiler.ir.snn import Convolve, Relay

from .real_layer import LinearSynapse

_ROWS = (1 << 13, 1 << 15)  # fewest and most
_ROWS_AN_INPUT = 24


@dataclass(frozen=True)
class SamplePositions:
    """Which image, and which place of the output, each row is."""

    image: Array
    at: tuple[Array, ...]

    def of(self, array: Array) -> Array:
        """``rows x channels`` of ``images x channels x space``, or of what spreads over it."""
        image = self.image if len(array) > 1 else 0 * self.image
        axes = (at if n > 1 else 0 * at for at, n in zip(self.at, array.shape[2:], strict=True))
        chosen: Any = (image, slice(None), *axes)
        result: Array = array[chosen]
        return result


def sample_positions(
    shape: tuple[int, ...], images: int, inputs: int, most: int
) -> SamplePositions:
    """Random places, the same in every run, for layers with so many inputs a neuron."""
    space = shape[1:]
    everywhere = images * int(np.prod(space))
    rows = min(most, int(np.clip(_ROWS_AN_INPUT * inputs, *_ROWS)))
    flat = np.arange(everywhere)
    if everywhere > rows:
        flat = np.sort(np.random.default_rng(inputs).choice(everywhere, rows, replace=False))
    image, *at = np.unravel_index(flat, (images, *space))
    return SamplePositions(image, tuple(at))


def input_rows(branch: LinearSynapse, values: Array, places: SamplePositions) -> Array:
    """What each row's neuron sees through its synapses: ``groups x rows x inputs``."""
    synapse = branch.synapse
    assert not isinstance(synapse, Relay)
    if not isinstance(synapse, Convolve):
        return values.reshape(1, len(values), -1)[:, places.image]
    view = windows(values, synapse, branch.weight.shape[2:], 0)
    chosen: Any = (places.image, slice(None), *places.at)
    rows: Array = view[chosen]
    return rows.reshape(len(rows), synapse.groups, -1).transpose(1, 0, 2)


def apply_weights(
    branch: LinearSynapse, weight: Array, values: Array, places: SamplePositions
) -> Array:
    """What these weights make of it, in double precision: ``rows x outputs``."""
    if isinstance(branch.synapse, Relay):
        return places.of(values).astype(np.float64) * places.of(weight[None])
    seen = input_rows(branch, values, places).astype(np.float64)
    blocks = weight.reshape(len(seen), -1, seen.shape[2]).astype(np.float64)
    return (seen @ blocks.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(seen.shape[1], -1)
