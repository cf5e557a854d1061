"""How active a program is, and what a frame of it costs by models of energy and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from qcompiler.backends.backend import Backend
from qcompiler.backends.energy import activity as activities
from qcompiler.backends.energy.alternatives import Alternatives, alternatives
from qcompiler.backends.energy.cores import Cores
from qcompiler.backends.energy.cost_model import CostModel, chosen
from qcompiler.backends.energy.estimate import Estimate, Measurement, estimate
from qcompiler.backends.energy.wiring import Wiring, wiring_of
from qcompiler.backends.host import Counters
from qcompiler.backends.loihi.mapping.chips import LOIHI_1
from qcompiler.ir import Graph, ProgramError
from qcompiler.ir.formats.text import digest
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes

from .placements import placements_of
from .states import states_from


class ProgramCosts:
    """The costs of one program; what is known of its network is computed once."""

    def __init__(self, graph: Graph, backend: Backend, manifest: Mapping[str, Any]) -> None:
        self.graph, self.backend, self.manifest = graph, backend, manifest
        self._placed: dict[int, tuple[Cores, ...]] = {}

    @cached_property
    def wiring(self) -> Wiring:
        """See `Program.wiring`."""
        found = wiring_of(self.graph)
        if not states_from(self.manifest.get("states", [])):
            return found
        return replace(found, interval=max(found.interval, found.latency))

    @property
    def network(self) -> str:
        """The digest of the network, which its counters carry."""
        return self.graph.known(digest)

    @property
    def activity(self) -> Measurement:
        """See `Program.activity`."""
        tops = self._tops
        if (known := self.manifest.get("activity")) is None:
            return Measurement(activities.assumed_activity(self.wiring, tops), 1, "assumed")
        return Measurement(*activities.from_json(known, self.wiring.neurons), "calibration")

    @property
    def _tops(self) -> dict[str, int]:
        """The highest level of every population, inputs included."""
        nodes = spiking_nodes(self.graph)
        return {node.result.name: spikes_of(node.result).top for node in nodes}

    def may_have(self, activity: activities.Activity, frames: int) -> bool:
        """Whether an activity may be that of this network in so many frames."""
        return activities.may_be_of(activity, frames, self.wiring, self._tops)

    def energy(self, counters: Counters | None, model: CostModel | None) -> Estimate:
        """See `Program.energy`."""
        model = chosen(model, self.backend.energy)
        return estimate(self.wiring, self._measured(counters), model, self._placements(model))

    def alternatives(
        self, counters: Counters | None, model: CostModel | None
    ) -> Alternatives | None:
        """See `Program.alternatives`."""
        macs = self.manifest.get("macs")
        if type(macs) is not int or macs < 1 or not self.wiring.updated_neurons:
            return None
        measured = self._measured(counters)
        return alternatives(self.energy(counters, model), measured, self._tops, macs)

    def _measured(self, counters: Counters | None) -> Measurement:
        if not isinstance(counters, Counters | None):
            raise ProgramError(f"counters must be those of measure, not {counters!r:.60}")
        if counters is None:
            return self.activity
        if counters.activity is None:
            raise ProgramError("the counters hold no counts: measure with count=True")
        found, frames = counters.activity, counters.frames
        own = counters.network in (None, self.network)
        if not (own and self.may_have(found, frames)):
            message = "the counters are not those of this program"
            raise ProgramError(f"{message}: give those of its own measure(...).counters")
        return Measurement(found, frames, "data")

    def _placements(self, model: CostModel) -> tuple[Cores, ...]:
        if not model.needs_cores:
            return ()
        if model.neurons_per_core not in self._placed:
            chip = self.backend.chip or LOIHI_1
            self._placed[model.neurons_per_core] = placements_of(self.graph, chip, model)
        return self._placed[model.neurons_per_core]
