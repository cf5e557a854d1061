"""What a compiled program says of itself without being run: states, warnings, energy, a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from qcompiler.backends.backend import Backend
from qcompiler.backends.energy.alternatives import Alternatives
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.energy.estimate import Estimate, Measurement
from qcompiler.backends.energy.wiring import Wiring
from qcompiler.backends.host import Counters, hidden_nodes, host_nodes
from qcompiler.backends.report import Report, build_report
from qcompiler.ir import Graph, Node, ProgramError
from qcompiler.ir.spiking.integer_network import spikes_of

from .calibrated_limits import describe_calibrated_limits
from .costs import ProgramCosts
from .states import State, states_from


@dataclass(frozen=True)
class DescribedProgram:
    """What is known of a network compiled for a target; `Program` runs it, too."""

    graph: Graph
    backend: Backend
    manifest: dict[str, Any]
    prologue: Graph | None = None

    @cached_property
    def _costs(self) -> ProgramCosts:
        return ProgramCosts(self.graph, self.backend, self.manifest)

    @property
    def t_max(self) -> int:
        """Largest number of spike times of a population, inputs and outputs excluded."""
        return max(spikes_of(node.result).t_max for node in hidden_nodes(self.graph))

    @property
    def host_nodes(self) -> tuple[Node, ...]:
        """What the host computes in front of the network, and behind it, in order."""
        front = () if self.prologue is None else self.prologue.nodes
        return (*front, *host_nodes(self.graph))

    @property
    def unproved_checks(self) -> tuple[str, ...]:
        """Limits that rest on calibration data, one sentence each; all others are proven."""
        return describe_calibrated_limits(self.graph)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looked wrong when the program was compiled: text of one or more lines each.

        Outputs far from the model's, and calibration data that do not suit the model. Raises
        ProgramError if the manifest is damaged.
        """
        return self._texts("warnings")

    @property
    def unread_inputs(self) -> tuple[str, ...]:
        """Inputs of the model that nothing reads. ProgramError if the manifest is damaged."""
        return self._texts("unread_inputs")

    def _texts(self, key: str) -> tuple[str, ...]:
        found = self.manifest.get(key, [])
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise ProgramError(f"the manifest's {key} are damaged: compile the model again")
        return tuple(found)

    @property
    def states(self) -> tuple[State, ...]:
        """The outputs that are inputs of the next frame. ProgramError if the manifest is damaged.

        Programs without states have none.
        """
        return states_from(self.manifest.get("states", []))

    @property
    def returned(self) -> tuple[str, ...]:
        """The outputs that are no states; all of them if there are no others."""
        carried = {state.output for state in self.states}
        names = self.graph.output_names
        return tuple(name for name in names if name not in carried) or names

    @property
    def wiring(self) -> Wiring:
        """What the network's neurons are connected to.

        With states, a frame waits for the end of the one before.
        """
        return self._costs.wiring

    @property
    def activity(self) -> Measurement:
        """How active the neurons are on calibration data; without these, an assumption.

        Raises ProgramError if the manifest is damaged.
        """
        return self._costs.activity

    def energy(self, counters: Counters | None = None, model: CostModel | None = None) -> Estimate:
        """What a frame costs by a model, or by the target's.

        ``counters`` are those of `measure`; without them the activity is that of `activity`.
        Raises ProgramError for counters of another network, and for those without counts.
        """
        return self._costs.energy(counters, model)

    def alternatives(
        self, counters: Counters | None = None, model: CostModel | None = None
    ) -> Alternatives | None:
        """The energy of other networks and machines beside it; None without products to count."""
        return self._costs.alternatives(counters, model)

    def report(self, model: CostModel | None = None) -> Report:
        """Populations, synapses, latency, cores and energy, by a model or by the target's."""
        backend, found = self.backend, self.energy(model=model)
        report = build_report(self.graph, backend.name, backend.chip, self.unproved_checks, found)
        return replace(report, warnings=self.warnings)
