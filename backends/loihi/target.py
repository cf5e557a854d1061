"""The targets for Intel's Loihi chips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qcompiler.backends.backend import Backend
from qcompiler.backends.chip import Chip
from qcompiler.backends.energy.built_in_models import LOIHI1 as LOIHI1_ENERGY
from qcompiler.backends.energy.cost_model import CostModel
from qcompiler.backends.loihi.lava.engine_adapter import ENGINES
from qcompiler.backends.loihi.mapping.chip_limits import check_chip_limits
from qcompiler.backends.loihi.mapping.chips import LOIHI_1, LOIHI_2
from qcompiler.backends.loihi.mapping.mapped_graph import mapped_graph
from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.standalone.lava_template import emit
from qcompiler.backends.reference.target import EXACT, PIPELINE
from qcompiler.ir import Diagnostic, Graph, Invariant
from qcompiler.ir.spiking.dynamics import PULSES, ROLES
from qcompiler.ir.spiking.integer_network import calibrated
from qcompiler.ir.spiking.invariants import READ_OUT, SCHEDULED, SPIKING

# Part of the fan-in that a layer with a pool in it may have. Beyond it the limit of the input of
# one step costs weight bits that are worth more than the time of a population for the pool.
_POOLED = 4
_CLOCK_AXONS = len(ROLES) + len(PULSES) + 1  # of a neuron: pulses take two, its own spike one


def fits(chip: Chip) -> Invariant:
    """The network's numbers fit the chip, and every neuron fits on one of its cores."""

    def check(graph: Graph) -> Iterator[Diagnostic]:
        netlist = build_netlist(graph)
        yield from check_chip_limits(netlist, chip, calibrated(graph))
        yield from mapped_graph(graph, chip, netlist)[1]

    return Invariant(f"fits {chip.name}", check)


def lava_target(name: str, chip: Chip, description: str = "") -> Backend:
    """A target for a chip that Lava's stock processes describe, with the chip's limits checked."""
    # Membranes: 24 bits, of which weights count from the seventh, as Lava's LIF shifts its input
    # by 6. Input of one step: 16 bits, less what the self-inhibition is rounded up by.
    most = chip.input - 255
    limits = f"potential={chip.state} input={most}"
    fan_in = chip.input_axons_per_core - _CLOCK_AXONS
    return Backend(
        name,
        description or f"{chip.name}, as a graph of stock Lava processes",
        PIPELINE.format(
            pooled=f"{{fan_in={fan_in // _POOLED}}}",
            fan_in=f"{{fan_in={fan_in}}}",
            membranes=f"{{fan_in={fan_in} potential={chip.state}}}",
            quantize=f"quantize{{{limits} pieces=true}}",
            limits=f"{{{limits} delay={chip.delay} fan_in={fan_in}}}",
            windows=f"assign-windows{{delay={chip.delay}}}",
            codes=f"choose-codes{{fan_in={fan_in} input={most} bias={chip.bias // 2}}}",
        ),
        (SPIKING, SCHEDULED, READ_OUT, EXACT, fits(chip)),
        emit,
        chip,
        ENGINES,
        energy=_energy(chip),
    )


def _energy(chip: Chip) -> CostModel:
    """The published model, which is that of Loihi 1."""
    if chip.name == LOIHI_1.name:
        return LOIHI1_ENERGY
    about = f"no figures are public for {chip.name}: those of {LOIHI_1.name}, {LOIHI1_ENERGY.basis}"
    return replace(LOIHI1_ENERGY, basis=about)


_LAVA = "Intel's {}, as a graph of stock Lava processes"
LOIHI = lava_target("loihi", LOIHI_2, _LAVA.format("Loihi 2"))
LOIHI1 = lava_target("loihi1", LOIHI_1, _LAVA.format("Loihi 1"))
