"""Which calibration images integers are fitted to."""

from __future__ import annotations

from typing import Protocol

from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.data import Images, check, sample
from qcompiler.passes.calibration.observed_membranes import images_to_observe
from qcompiler.passes.calibration.trace import images_for


class Sampled(Protocol):
    """Options that decide about the images."""

    @property
    def effort(self) -> int: ...
    @property
    def proved(self) -> bool: ...
    @property
    def input(self) -> int: ...
    @property
    def potential(self) -> int: ...
    @property
    def calibration(self) -> tuple[Array, ...] | None: ...


def sample_of(graph: Graph, options: Sampled) -> Images | None:
    """A sample of the calibration images, as large as time and memory allow; None if unused."""
    data = options.calibration
    if data is None or not (options.effort or observes(options)):
        return None
    check(graph, data)
    given, effort = len(data[0]), options.effort
    images = images_for(graph, given, effort) if effort else images_to_observe(graph, given)
    return sample(data, images)


def observes(options: Sampled) -> bool:
    """Whether limits may rest on calibration data instead of a proof."""
    return not options.proved and options.input < options.potential
