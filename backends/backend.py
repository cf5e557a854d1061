"""What a backend is, and the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from qcompiler.ir import Diagnostic, Graph, Invariant
from qcompiler.ir.dynamics import PULSES, ROLES
from qcompiler.ir.integer import calibrated
from qcompiler.ir.invariants import READ_OUT, SCHEDULED, SPIKING, within

from .chips import LOIHI_1, LOIHI_2, Chip
from .cores import place
from .emitter import emit
from .fit import findings
from .netlist import build

_PIPELINE = (
    "fold-batchnorm,fold-linear,{inputs},equalize,split-ranges,normalize,lower-activations,"
    "{quantize},{windows},insert-readout"
)
_CLOCK_AXONS = len(ROLES) + len(PULSES) + 1  # of a neuron: pulses take two, its own spike one

Emitter: TypeAlias = Callable[[Graph, Path], None]


@dataclass(frozen=True)
class Backend:
    """A target: the passes that lower a network to it, and what the result must satisfy.

    ``pipeline`` is text for `Pipeline.parse`; ``requires`` is checked on the final graph. ``emit``
    writes files of the target's own into the folder of a program that is being saved. ``chip``,
    if there is one, is what the report maps the network onto.
    """

    name: str
    description: str
    pipeline: str
    requires: tuple[Invariant, ...]
    emit: Emitter | None = None
    chip: Chip | None = None


def fits(chip: Chip) -> Invariant:
    """The network's numbers fit the chip, and every neuron fits on one of its cores."""

    def check(graph: Graph) -> Iterator[Diagnostic]:
        netlist = build(graph)
        yield from findings(netlist, chip, calibrated(graph))
        yield from place(netlist, chip)[1]

    return Invariant(f"fits {chip.name}", check)


# What the fast engine computes with is exact for every input, even one beyond calibrated bounds.
_EXACT = within((1 << 23) - 1, "sums within 24 bits")

REFERENCE = Backend(
    "reference",
    "the integer network, run by the steps and fast engines",
    _PIPELINE.format(inputs="split-inputs", quantize="quantize", windows="assign-windows"),
    (SPIKING, SCHEDULED, READ_OUT, _EXACT),
)


def _loihi(name: str, chip: Chip) -> Backend:
    # Membranes: 24 bits, of which weights count from the seventh, as Lava's LIF shifts its input
    # by 6. Input of one step: 16 bits, less what the self-inhibition is rounded up by.
    quantize = f"quantize{{even=true potential={chip.state} input={chip.input - 255}}}"
    inputs = f"split-inputs{{fan_in={chip.input_axons_per_core - _CLOCK_AXONS}}}"
    return Backend(
        name,
        f"Intel's {chip.name}, as a graph of stock Lava processes",
        _PIPELINE.format(
            inputs=inputs, quantize=quantize, windows=f"assign-windows{{delay={chip.delay}}}"
        ),
        (SPIKING, SCHEDULED, READ_OUT, _EXACT, fits(chip)),
        emit,
        chip,
    )


LOIHI = _loihi("loihi", LOIHI_2)

BUILT_IN = {backend.name: backend for backend in (LOIHI, _loihi("loihi1", LOIHI_1), REFERENCE)}
