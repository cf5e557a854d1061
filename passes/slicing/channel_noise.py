"""Which channels of a value cause its noise at the outputs.

The noise of channels in the sums of the next layer tells little of it: those of SqueezeNet's first
layer differ fifty times in what their noise does at the outputs, and the two are hardly correlated.
Channels are rounded one after the other, so only the noisiest values are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Value, drop_dead
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape
from qcompiler.passes.calibration.data import Images, sample
from qcompiler.passes.calibration.trace import size_of
from qcompiler.passes.quantization.group_index import group_named
from qcompiler.passes.quantization.logits import logits

from .noise_walk import Noise
from .rounded_outputs import RealValues

_WORK = 5e11  # products of all runs from a rounded channel to the outputs
_VALUES = 8  # that take all of it; those that take more have the fewest images:
_FEWEST, _MOST = 4, 64
_LOUD = 1 / 16  # of the noise at the outputs: values of less are not looked at


def measure_channels(
    graph: Graph, data: Images, found: Mapping[str, Noise], names: Iterable[str]
) -> None:
    """Replace the noise of channels in sums by that at the outputs, for the noisiest values.

    Others of these ``names`` keep theirs, as do all whose channels are not told apart.
    """
    products, left = size_of(graph)[0], _WORK
    quiet = _LOUD * sum(noise.outputs for noise in found.values())
    known = [name for name in names if name in found and np.all(np.isfinite(found[name].channels))]
    for name in sorted(known, key=lambda name: -found[name].outputs):
        noise = found[name]
        each = products * len(noise.channels)
        images = min(int(np.clip(_WORK / _VALUES / each, _FEWEST, _MOST)), len(data[0]))
        if noise.outputs <= quiet or images * each > left:
            continue
        value = group_named(graph, name).result
        measured = _at_outputs(graph, sample(data, images), value, noise)
        if measured.any():
            noise.channels, left = measured, left - images * each


def _at_outputs(graph: Graph, data: Images, value: Value, noise: Noise) -> Array:
    """The noise of each channel at all outputs, in that of their variance."""
    total = np.zeros(len(noise.channels))
    ends = (end for output in graph.outputs for end in logits(graph, output, Reshape))
    for end in dict.fromkeys(ends):
        cut = drop_dead(replace(graph, outputs=(end,), output_names=()))
        if value == end or all(node.result != value for node in cut.nodes):
            continue
        real = RealValues(cut, data, [value])
        variance = float(np.var(real.output, axis=0, dtype=np.float64).mean()) or 1.0
        for channel, output in enumerate(real.outputs_by_channel(value, noise.code)):
            errors = np.square(output - real.output, dtype=np.float64)
            total[channel] += float(errors.mean()) / variance
    return total
