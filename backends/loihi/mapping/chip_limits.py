"""Whether a netlist fits a chip's numbers: weights, inputs, states, thresholds and delays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.netlist.build import dynamics, received
from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_lists import EXPONENT, WEIGHT
from qcompiler.ir import Diagnostic
from qcompiler.ir.spiking.input_bounds import Bounds

_SHRINK = "use a smaller --t-max or fewer --weight-bits"
_STAGES = "pool in two stages, with smaller windows"
_RECOMPILE = "compile with --target loihi; in --passes, quantize{even=true}"


def findings(
    netlist: Netlist, chip: Chip, calibrated: Mapping[str, Bounds] | None = None
) -> Iterator[Diagnostic]:
    """Everything about a network's numbers that the chip cannot do.

    ``calibrated`` bounds the inputs of those populations that rest on calibration data.
    """
    tops = netlist.tops
    for group in netlist.populations:
        rows = [row for row in netlist.synapses if row.target == group.name]
        for row in rows:
            yield from _weights(row, group, chip)
        yield from _ranges(group, rows, tops, chip, (calibrated or {}).get(group.name))


def _weights(row: Synapses, group: Population, chip: Chip) -> Iterator[Diagnostic]:
    name = "the clock" if row.source == CLOCK else f"%{row.source}"
    what = f"weights from {name} to %{row.target}"
    weights = row.weights
    if np.any(weights & 1):
        yield Diagnostic(f"{what} are odd, {chip.name} takes even ones", group.origin, _RECOMPILE)
    peak = int(np.abs(weights).max(initial=0))
    if row.source in (CLOCK, row.target):  # split in parts of 8 bits
        if peak > WEIGHT and chip.exponent < EXPONENT:
            yield _beyond(group, chip, f"the exponent of {what}", EXPONENT, chip.exponent, _SHRINK)
    elif peak > chip.weight:
        yield _beyond(group, chip, what, peak, chip.weight, "fewer --weight-bits")
    if row.delay > chip.delay:
        help_ = f"assign-windows{{delay={chip.delay}}}"
        yield _beyond(group, chip, f"the delay from %{row.source}", row.delay, chip.delay, help_)


def _ranges(
    group: Population,
    rows: list[Synapses],
    tops: dict[str, int],
    chip: Chip,
    calibrated: Bounds | None,
) -> Iterator[Diagnostic]:
    (itself,) = (row for row in rows if row.source == group.name)
    if group.persistent:
        found = dynamics(group, rows, tops, calibrated).extremes(-itself.weights)
        peaks = found.input.max(), found.current.max(), -found.membrane.min()
    else:  # all that comes in one step, or its own inhibition
        sent = (received(row, row.weights).max() for row in rows if row is not itself)
        inhibition = -itself.weights.min()
        peaks = (max(*sent, inhibition),) * 2 + (inhibition,)
    names = "the input of one step", "the current", "the membrane"
    limits = chip.input, chip.state, chip.state
    for what, value, limit in zip(
        (*names, "the threshold"), (*peaks, group.threshold), (*limits, chip.threshold), strict=True
    ):
        if value > limit:
            help_ = _SHRINK if group.persistent else _STAGES
            yield _beyond(group, chip, what, int(value), limit, help_)


def _beyond(
    group: Population, chip: Chip, what: str, used: int, allowed: int, help_: str
) -> Diagnostic:
    message = f"{what} of %{group.name} can reach {used:,}, {chip.name} allows {allowed:,}"
    return Diagnostic(message, group.origin, help_)
