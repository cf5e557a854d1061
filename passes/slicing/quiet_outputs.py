"""Whether rounding the values of a network brings little noise to outputs that name classes.

Then slices of values would bring nothing, and the levels of the outputs themselves count.
`split-ranges` and `refine-outputs`, one behind the other, share what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Graph
from qcompiler.ir.view import Reshape
from qcompiler.passes.calibration.answers import predictions
from qcompiler.passes.calibration.data import Images, Progress, are, run, sample
from qcompiler.passes.calibration.trace import images_for
from qcompiler.passes.quantization.levels import levels_of, spiking_values
from qcompiler.passes.quantization.logits import logits

from .noise import noise_of
from .noise_walk import Noise
from .slices import unsliced_name

QUIET = 1 / 400  # noise, relative to the variance, that is low enough: in sums, or in scores
_IMAGES = 256  # more change little


class _Measured(NamedTuple):
    """Whether outputs are quiet on these data with so many levels."""

    data: Images
    t_max: int
    quiet: bool


def is_quiet(graph: Graph, calibration: Images, t_max: int) -> bool:
    """Whether the outputs are quiet. Those of a graph that has slices or digits count as not."""
    if any(unsliced_name(value.name) != value.name for value in spiking_values(graph)):
        return False
    known = graph.known(_measured)
    if known and known.t_max == t_max and are(known.data, calibration):
        return known.quiet
    return measured_noise(graph, calibration, t_max)[1]


def measured_noise(
    graph: Graph, calibration: Images, t_max: int, progress: Progress = None
) -> tuple[dict[str, Noise], bool]:
    """The noise of each value on some of the data, and whether the outputs are quiet."""
    data = noise_sample(graph, calibration)
    found = noise_of(graph, data, partial(levels_of, graph, t_max=t_max), progress)
    quiet = _are_quiet(graph, data, found)
    graph.remember(_measured, _Measured(calibration, t_max, quiet))
    return found, quiet


def _measured(graph: Graph) -> _Measured | None:
    return None  # unless it is remembered


def noise_sample(graph: Graph, calibration: Images) -> Images:
    """The data that noise is measured on."""
    return sample(calibration, min(images_for(graph, len(calibration[0]), 1), _IMAGES))


def _are_quiet(graph: Graph, data: Images, found: Mapping[str, Noise]) -> bool:
    """Whether the outputs name classes, and have too little noise for slices to be worth it.

    False if the noise at the outputs is not known.
    """
    ends = list(dict.fromkeys(e for v in graph.outputs for e in logits(graph, v, Reshape)))
    if not 0 < sum(noise.outputs for noise in found.values()) < QUIET or len(ends) != 1:
        return False
    parts = [part[ends[0].name] for part in run(graph, data, [ends[0].name])]
    return predictions(np.concatenate(parts), None) is not None
