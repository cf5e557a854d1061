"""`Program.plot`: pictures of a program as matplotlib figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qcompiler.backends.report import Report
from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.kernels import Array

from .activity_plots import count_levels, histogram_figure, raster_figure
from .canvas import need
from .core_squares import square_figure
from .network_plots import graph_figure, schedule_figure
from .rows import FOLDED, Network


@dataclass(frozen=True)
class Plots:
    """Pictures of one program, each a `matplotlib.figure.Figure`.

    Populations of large networks are folded into ``most`` rows; None folds nothing. Each raises
    ProgramError for another number of rows, and if matplotlib is not installed.
    """

    program_graph: Graph
    report: Callable[[], Report]
    levels: Callable[..., Mapping[str, Array]]
    one_each: Callable[[Sequence[Any]], tuple[Array, ...]]

    @cached_property
    def _network(self) -> Network:
        need("matplotlib")
        return Network.of(self.program_graph, self.report())

    def _rows(self, most: int | None) -> Network:
        if most is not None and not (isinstance(most, int | np.integer) and most >= 1):
            raise ProgramError(f"most must be at least 1 row, or None for all, not {most!r:.60}")
        return self._network if most is None else self._network.folded(most)

    def graph(self, most: int | None = FOLDED) -> Any:
        """Populations, their synapses, and the delays of those that skip populations."""
        return graph_figure(self._rows(most))

    def schedule(self, most: int | None = FOLDED) -> Any:
        """When each population collects its input, and when it may spike."""
        return schedule_figure(self._rows(most), self.report().frame_interval_steps)

    def cores(self, most: int | None = FOLDED) -> Any:
        """The cores of each population as squares; ProgramError for a target without a chip."""
        rows = self._rows(most)
        if self.report().cores is None:
            raise ProgramError(f"the target {self.report().target} has no cores")
        return square_figure(rows)

    def raster(self, *frame: Any, most: int | None = FOLDED) -> Any:
        """The spikes of one frame: one array of the input's shape for each input, or by name.

        Raises DataError for a frame that does not fit.
        """
        rows = self._rows(most)
        levels = self.levels(*(array[None] for array in self.one_each(frame)))
        return raster_figure(rows, self.program_graph, levels)

    def histograms(self, *inputs: Any) -> Any:
        """How often each level occurs in each population; ``inputs`` are as for `Program.run`.

        Raises DataError for inputs that do not fit.
        """
        need("matplotlib")
        return histogram_figure(count_levels(self.program_graph, self.levels(*inputs)))
