"""Checks a netlist against a chip's limits: weights, inputs, potentials, thresholds, delays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qcompiler.backends.chip import Chip
from qcompiler.backends.loihi.netlist.data_synapses import summed_weights
from qcompiler.backends.loihi.netlist.netlist import CLOCK, Netlist, Population, Synapses
from qcompiler.backends.loihi.netlist.synapse_matrices import (
    COARSE_EXPONENT,
    COARSE_UNIT,
    MAX_WEIGHT,
    largest_weight,
    unit_of,
)
from qcompiler.backends.loihi.netlist.worst_case import extremes
from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array, largest_magnitude
from qcompiler.ir.spiking.input_bounds import Bounds

_SHRINK = "use a smaller --t-max or fewer --weight-bits"
_ONE_SPIKE = "use another --code than burst, whose spikes add up: auto uses it where it fits"
_STAGES = "pool in two stages, with smaller windows"


def check_chip_limits(
    netlist: Netlist, chip: Chip, calibrated: Mapping[str, Bounds] | None = None
) -> Iterator[Diagnostic]:
    """One diagnostic per limit of the chip that the network exceeds.

    ``calibrated`` holds input bounds of the populations that rest on calibration data.
    """
    for group in netlist.populations:
        rows = [row for row in netlist.synapses if row.target == group.name]
        for row in rows:
            yield from _check_weights(row, group, chip)
        yield from _check_ranges(group, rows, netlist, chip, (calibrated or {}).get(group.name))


def _check_weights(row: Synapses, group: Population, chip: Chip) -> Iterator[Diagnostic]:
    name = "the clock" if row.source == CLOCK else f"%{row.source}"
    what = f"weights from {name} to %{row.target}"
    weights = row.weights
    peak = largest_magnitude(weights)
    if row.source in (CLOCK, row.target) or row.kind == "each" or _is_coarse(weights, peak):
        if peak > MAX_WEIGHT and chip.exponent < COARSE_EXPONENT:
            yield _limit_exceeded(
                group, chip, f"the exponent of {what}", COARSE_EXPONENT, chip.exponent, _SHRINK
            )
    elif peak > (most := min(chip.weight, largest_weight(weights))):
        yield _limit_exceeded(group, chip, what, peak, most, "fewer --weight-bits")
    if row.delay > chip.delay:
        help_ = f"assign-windows{{delay={chip.delay}}}"
        yield _limit_exceeded(
            group, chip, f"the delay from %{row.source}", row.delay, chip.delay, help_
        )


def _is_coarse(weights: Array, peak: int) -> bool:
    """Whether weights are the coarse part of wider ones: 8 bits times a power of two."""
    return peak <= largest_weight(weights) or unit_of(weights) == COARSE_UNIT


def _check_ranges(
    group: Population,
    rows: list[Synapses],
    netlist: Netlist,
    chip: Chip,
    calibrated: Bounds | None,
) -> Iterator[Diagnostic]:
    integrates = group.persistent or group.bias is not None
    if integrates:
        found = extremes(group, rows, netlist, calibrated)
        peaks = found.input.max(), found.current.max(), -found.membrane.min()
    else:  # all that comes in one step, or its own inhibition
        sent = [summed_weights(row, row.weights).max() for row in rows if row.source != group.name]
        inhibition = max(
            (-row.weights.min() for row in rows if row.source == group.name), default=0
        )
        peaks = (max(*sent, inhibition),) * 2 + (inhibition,)
    if group.bias is not None:
        most = chip.bias // (2 if np.any(group.bias & 1) else 1)
        if (steepest := group.bias.max()) > most:
            yield _limit_exceeded(group, chip, "the bias", int(steepest), most, _ONE_SPIKE)
    names = "the input of one step", "the current", "the membrane"
    limits = chip.input, chip.state, chip.state
    for what, value, limit in zip(
        (*names, "the threshold"), (*peaks, group.threshold), (*limits, chip.threshold), strict=True
    ):
        if value > limit:
            help_ = _shrink(group) if integrates else _STAGES
            yield _limit_exceeded(group, chip, what, int(value), limit, help_)


def _shrink(group: Population) -> str:
    return _SHRINK if group.bias is None else _ONE_SPIKE


def _limit_exceeded(
    group: Population, chip: Chip, what: str, used: int, allowed: int, help_: str
) -> Diagnostic:
    message = f"{what} of %{group.name} can reach {used:,}, {chip.name} allows {allowed:,}"
    return Diagnostic(message, group.origin, help_)
