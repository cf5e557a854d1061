"""Which calibration images integers are fitted to."""

from __future__ import annotations

from qcompiler.ir import Graph
from qcompiler.passes.calibration.data import Images, check, sample
from qcompiler.passes.calibration.observed_membranes import images_to_observe
from qcompiler.passes.calibration.trace import images_for

from .options import Options


def sample_of(graph: Graph, options: Options) -> Images | None:
    """A sample of the calibration images, as large as time and memory allow; None if unused."""
    data = options.calibration
    if data is None or not (options.effort or observes(options)):
        return None
    check(graph, data)
    given, effort = len(data[0]), options.effort
    images = images_for(graph, given, effort) if effort else images_to_observe(graph, given)
    return sample(data, images)


def observes(options: Options) -> bool:
    """Whether limits may rest on calibration data instead of a proof."""
    return not options.proved and options.input < options.potential
