"""What fits on a Loihi core: even 8-bit weights, 24-bit currents and membranes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qcompiler.ir import Diagnostic
from qcompiler.ir.kernels import Array

from .netlist import Control, Group, Netlist, net_weight
from .wiring import Wires

WEIGHT = 254
STATE = 131071  # 24 bits, of which the lowest 6 are below the unit of the weights
EXPONENT = 7  # of the coarse part of a weight
REACH = WEIGHT << EXPONENT  # up to which one fine and one coarse weight can write every number
_RECOMPILE = "compile with --target loihi"
_SHRINK = "use a smaller --t-max or fewer --weight-bits"


def split(weights: Array) -> list[tuple[Array, int]]:
    """Write even integers as sums of 8-bit weights: arrays and their binary exponents.

    ``sum(part << exponent)`` is the array again; every part is even and within +-254. Parts that
    are 0 everywhere are left out.
    """
    if not np.any(np.abs(weights) > WEIGHT):
        return [(weights, 0)] if weights.any() else []
    low = (weights + 128) % 256 - 128
    parts = [(low, 0)] if low.any() else []
    coarse = (weights - low) // 256
    while coarse.any():
        part = np.clip(coarse, -127, 127)
        parts.append((2 * part, EXPONENT))
        coarse = coarse - part
    return parts


def findings(netlist: Netlist) -> Iterator[Diagnostic]:
    """Everything about a network that does not fit."""
    for wire in netlist.wires:
        if np.any(wire.weight % 2) or np.any(np.abs(wire.weight) > WEIGHT):
            yield Diagnostic(
                f"weights from %{wire.source} to %{wire.target} are not all even and "
                f"within +-{WEIGHT}",
                help=_RECOMPILE,
            )
    for control in netlist.controls:
        if np.any(control.weight % 2):
            yield Diagnostic(
                f"the clock of %{control.target} sends odd weights at step {control.at}",
                help=_RECOMPILE,
            )
    for group in netlist.groups:
        wires = [wire for wire in netlist.wires if wire.target == group.name]
        lines = [line for line in netlist.controls if line.target == group.name]
        yield from _ranges(group, wires, lines, netlist)


def _ranges(
    group: Group, wires: list[Wires], lines: list[Control], netlist: Netlist
) -> Iterator[Diagnostic]:
    if group.threshold > STATE:
        yield _beyond(group, "the threshold", group.threshold)
    low, high, deepest = extremes(group, wires, lines, netlist)
    if max(-low, high) > STATE:
        yield _beyond(group, "the current", low if -low > high else high)
    if deepest < -STATE:
        yield _beyond(group, "the membrane", deepest)


def extremes(
    group: Group, wires: list[Wires], lines: list[Control], netlist: Netlist
) -> tuple[int, int, int]:
    """Bounds, over all inputs, on a group's current (both ways) and membrane (downwards).

    After its own spike a neuron may sink to the membrane's lower limit, where it stays until its
    reset; above its threshold it spikes. Neither does harm, so neither is counted.
    """
    tops = {source.name: source.t_max - 1 for source in netlist.sources}
    tops |= {other.name: other.close - other.read for other in netlist.groups}
    least, most = (net_weight(group, wires, clip) for clip in ((-STATE, 0), (0, STATE)))
    if group.kind == "first":
        return int(least.min()) - group.inhibition, int(most.max()), -group.inhibition
    depth = sum((tops[w.source] * net_weight(group, [w], (-STATE, 0)) for w in wires), 0 * least)
    low = high = deepest = 0
    steady = 0 * least
    for step in range(group.open, group.close + 2):
        steady = steady + sum((line.weight for line in lines if line.at == step), 0 * least)
        if step == group.read:  # every input has come
            steady = steady + least + most
            least, most = 0 * least, 0 * most
        depth = depth + steady
        spiked = group.inhibition if step > group.read else 0
        low = min(low, int((steady + least).min()) - spiked)
        high = max(high, int((steady + most).max()))
        deepest = min(deepest, int(depth.min())) if step <= group.close else deepest
    return low, high, deepest


def _beyond(group: Group, what: str, value: int) -> Diagnostic:
    message = f"{what} of %{group.name} can reach {value}, the chip ends at +-{STATE}"
    return Diagnostic(message, group.origin, _SHRINK)
