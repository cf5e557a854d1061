"""What a report is about: a program, and what has been run on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qcompiler.backends.energy.alternatives import Alternatives
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.energy.estimate import Estimate
from qcompiler.backends.host import Measured
from qcompiler.backends.plots.rows import Network
from qcompiler.backends.program.program import Program
from qcompiler.backends.report import Report
from qcompiler.data import Frames
from qcompiler.ir.kernels import Array


@dataclass(frozen=True)
class Run:
    """What `qrun` has measured on ``data``: its figures, and the model's outputs if it ran, too."""

    measured: Measured
    data: Frames
    figures: Mapping[str, Any]
    engine: str
    reference: Mapping[str, Array] | None = None
    errors: tuple[tuple[str, str], ...] = ()
    alternatives: Alternatives | None = None


@dataclass(frozen=True)
class Subject:
    """A program called ``name``; ``frames`` are data to draw spikes and levels of, if any.

    ``frame`` is the number of the one whose spikes are drawn. ``model`` estimates the energy.
    """

    program: Program
    name: str
    model: CostModel | None = None
    frames: Frames | None = None
    frame: int = 0
    run: Run | None = None

    @cached_property
    def report(self) -> Report:
        """Populations, synapses, latency and cores."""
        return self.program.report(self.model)

    @cached_property
    def energy(self) -> Estimate:
        """What a frame costs, by what was measured if something was."""
        counters = self.run.measured.counters if self.run else None
        return self.program.energy(counters, self.model)

    @cached_property
    def network(self) -> Network:
        """The rows of pictures."""
        return Network.of(self.program.graph, self.report)
