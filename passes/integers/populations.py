"""The synapses and neurons of fusion groups, as nodes of the spiking graph."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from qcompiler.ir import Builder, Constant, Spikes, Value
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Neuron
from qcompiler.passes.quantization.fusion_groups import FusionGroup
from qcompiler.passes.quantization.integer_layer import IntegerLayer
from qcompiler.passes.quantization.levels import narrow


class Source(NamedTuple):
    """Spikes that a group reads, and the ONNX nodes of the synapses from them.

    Of a sum these are the nodes of one branch: all of them at each branch is a text that grows with
    the square of the branches.
    """

    spikes: Value
    origin: tuple[str, ...]


def sources_of(group: FusionGroup, spikes: list[tuple[Value, ...]]) -> list[Source]:
    """What a group reads, given the digits of each branch."""
    sums = len(group.branches) > 1
    found: list[Source] = []
    for branch, digits in zip(group.branches, spikes, strict=True):
        linear = branch.linear.origin if branch.linear else ()
        found += [Source(digit, linear if sums else group.origin) for digit in digits]
    return found


class Populations:
    """Adds populations to a graph."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.kept: dict[int, tuple[Array, Constant]] = {}

    def neurons(
        self, group: FusionGroup, sources: list[Source], code: Spikes, found: IntegerLayer
    ) -> Value:
        """The spikes of a group; ``sources`` are the digits of all its branches."""
        name, origin, add = group.result.name, group.origin, self.builder.add
        currents = []
        for index, (branch, synapse, weight) in enumerate(found.synapses, 1):
            constant = self.stored(f"{name}:W" if index == 1 else f"{name}:W.{index}", weight)
            spikes, behind = sources[branch]
            operands = spikes, constant
            currents.append(add(synapse, *operands, name=f"{name}:current", origin=behind))
        bias, slope = (
            self.stored(f"{name}:B", found.bias),
            self.stored(f"{name}:D", found.slope),
        )
        op, bounds = Neuron(code.t_max, code.scale, code.zero), []
        if calibrated := found.calibrated:
            op = replace(op, images=calibrated.images, margin=calibrated.margin)
            bounds.append(self.stored(f"{name}:bounds", calibrated.rows))
        return add(op, *currents, bias, slope, *bounds, name=name, origin=origin)

    def stored(self, name: str, array: Array) -> Constant:
        """An array as a constant; slices of one value share theirs."""
        if id(array) not in self.kept:
            constant = Constant(name, narrow(array))
            self.kept[id(array)] = array, constant
        return self.kept[id(array)][1]
