"""Measure the noise that rounding each value to its levels causes.

The noise of a value is measured at two places:

    in the sums of the layers that read it, relative to the variance of these sums. This counts if
    the layers behind are fitted to their quantized inputs and so correct part of the noise;
    in the outputs, with all layers behind unchanged. This counts if nothing corrects the noise.

The true effect lies between, nearer to the outputs. On ResNet-20 and SqueezeNet a mean of both
shares, weighted 1 to 3, predicts best what a value gains from more levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Spikes, Value, drop_dead
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Reshape
from qcompiler.passes.calibration.data import Images, Progress, sample
from qcompiler.passes.calibration.trace import Trace, size_of
from qcompiler.passes.quantization.logits import logits

from .noise_walk import Noise, NoiseWalk
from .rounded_outputs import RealValues

_WORK = 1e11  # products of all runs from a rounded value to the outputs
_FEWEST = 4  # images of these runs
_WEIGHTS = (1.0, 3.0)  # of the noise in the sums, and at the outputs
_MOST_VALUES = 64  # above it the outputs are not measured: each value takes a run


def noise_of(
    graph: Graph, data: Images, levels: Callable[[Value], int], progress: Progress = None
) -> dict[str, Noise]:
    """Measure the noise of every value that a layer reads; ``levels`` gives its number of levels.

    ``data`` holds one array per input, ``images x shape``. For networks with more than 64 such
    values only the noise in the sums is measured. ``progress`` is called with the share of values
    whose effect on an output is known. Raises DataError if a value becomes NaN or infinite.
    """
    roots = {value.name: value for value in graph.inputs}
    found = NoiseWalk(graph, Trace(graph, data), levels, roots).run()
    if len(found) > _MOST_VALUES:
        return found
    few = sample(data, int(max(_FEWEST, _WORK / size_of(graph)[0] / max(1, len(found)))))
    ends = (end for value in graph.outputs for end in logits(graph, value, Reshape))
    for output in dict.fromkeys(ends):
        cut = drop_dead(replace(graph, outputs=(output,), output_names=()))
        values = (*cut.inputs, *(node.result for node in cut.nodes))
        read = [value for value in values if value.name in found and value != output]
        real = RealValues(cut, few, read)
        for done, value in enumerate(read, 1):
            found[value.name].outputs += _at_output(real, value, found[value.name].code)
            if progress:
                progress(done / len(read))
    return found


def shares(found: dict[str, Noise]) -> dict[str, float]:
    """Each value's share of the noise of the whole network."""
    ends = np.array([(noise.sums, noise.outputs) for noise in found.values()]).reshape(-1, 2)
    totals = ends.sum(axis=0)
    weights = np.where(totals > 0, _WEIGHTS, 0)
    parts = ends @ (weights / np.where(totals > 0, totals, 1)) / (weights.sum() or 1.0)
    return dict(zip(found, parts.tolist(), strict=True))


def _at_output(real: RealValues, value: Value, code: Spikes) -> float:
    (rounded,) = real.outputs_if_rounded(value, (code,))
    noise = np.mean(np.square(rounded - real.output, dtype=np.float64))
    return float(noise / (_variance(real.output) or 1.0))


def _variance(array: Array) -> float:
    return float(np.var(array, axis=0, dtype=np.float64).mean())
