"""A value of the real network, and the populations that code it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from qcompiler.ir import Node, Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.ir.types import size
from qcompiler.passes.folding.rescaling import STANDARD


@dataclass(frozen=True)
class Part:
    """What codes a value, or the given channels of one: a population, several slices, or digits.

    ``places`` are those of the pieces of an output, ``t_max`` its number of levels.
    """

    nodes: tuple[Node, ...]
    channels: tuple[int, ...] | None = None
    places: tuple[int, ...] = ()
    t_max: int = 0

    @property
    def node(self) -> Node:
        """The population, or the one of the lowest slice or the highest digit."""
        return self.nodes[0]

    @property
    def code(self) -> Spikes:
        """The code of the levels: of slices, that of the sum of theirs, of digits, of the whole."""
        codes = [spikes_of(node.result) for node in self.nodes]
        if isinstance(self.node.op, Encode):
            return replace(self.node.op.code, shape=codes[0].shape)
        levels = 1 + sum(p * code.top for p, code in zip(self.places, codes, strict=True))
        scale = codes[self.places.index(1)].scale
        zero = sum(p * code.zero for p, code in zip(self.places, codes, strict=True))
        return Spikes(codes[0].shape, min(levels, self.t_max or levels), scale, zero)

    def whole(self, levels: Mapping[str, Array]) -> Array:
        """The levels of the value, of those of its populations by name."""
        if len(self.nodes) == 1:
            return levels[self.node.result.name]
        found = np.zeros_like(levels[self.node.result.name], np.uint16)
        for node, place in zip(self.nodes, self.places, strict=True):
            found += levels[node.result.name].astype(np.uint16) * np.uint16(place)
        return np.minimum(found, self.code.top)


@dataclass(frozen=True)
class MatchedLayer:
    """The name of a real value, and what codes it: one part, or several of some channels each."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """The name of the value in the model: of a rescaled input, that of the input."""
        return self.name.removesuffix(STANDARD)

    @property
    def main(self) -> Part:
        """The part of most channels."""
        return max(self.parts, key=lambda part: size(part.node.result.type))

    @property
    def node(self) -> Node:
        """The first population of this part."""
        return self.main.node

    @property
    def code(self) -> Spikes:
        """The code of this part; others differ in scale and number of levels."""
        return replace(self.main.code, shape=self.shape)

    def of_main(self, array: Array) -> Array:
        """This part's channels of ``frames x shape``."""
        return array if self.main.channels is None else array[:, list(self.main.channels)]

    @property
    def scales(self) -> Array:
        """The scale of each channel, shaped to spread."""
        return self.joined(lambda part: _by_channel(part, part.code.scale))

    @property
    def tops(self) -> Array:
        """The highest level of each channel, shaped to spread."""
        return self.joined(lambda part: _by_channel(part, part.code.top))

    def joined(self, found: Callable[[Part], Array]) -> Array:
        """An array of all channels, ``frames x shape`` or what spreads over it, from the parts'."""
        arrays = [found(part) for part in self.parts]
        if len(arrays) == 1:
            return arrays[0]
        frames, _, *space = arrays[0].shape
        result = np.empty((frames, self.shape[0], *space), np.result_type(*arrays))
        for part, array in zip(self.parts, arrays, strict=True):
            result[:, list(part.channels or ())] = array
        return result

    @property
    def neurons(self) -> int:
        """Neurons of all populations."""
        return sum(size(node.result.type) for part in self.parts for node in part.nodes)

    @property
    def is_input(self) -> bool:
        """Whether this is an encoder."""
        return isinstance(self.node.op, Encode)


def _by_channel(part: Part, number: float) -> Array:
    shape = part.code.shape
    return np.full((1, *shape[:1], *(1,) * len(shape[1:])), number, np.float32)
