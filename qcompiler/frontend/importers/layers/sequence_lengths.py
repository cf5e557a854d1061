"""Lengths of sequences that depend on the data: the host tells which of their steps are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.importers.elementwise.activations import spread
from qcompiler.frontend.importers.elementwise.padding import flag
from qcompiler.frontend.model.in_front import fed, is_given, note_computed
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Value, size
from qcompiler.ir.ann import Integer
from qcompiler.ir.view import Reshape, Take

RECURRENT = ("GRU", "LSTM", "RNN", "com.microsoft.DynamicQuantizeLSTM")
_PLACE = 4  # of the operand that holds them


@dataclass(frozen=True)
class SequenceLengths:
    """The steps of a sequence: ``present`` is 1 at those within it, ``last`` at its last one.

    Both have one element for each step.
    """

    node: NodeContext
    present: Value
    last: Value

    def at(self, flags: Value, time: int, units: int) -> Value:
        """What is said of one step, for each unit of a layer."""
        one = self.node.part("step", Take(0, (time,)), flags)
        return spread(self.node, one, (units,))


def is_length(node: NodeContext, index: int) -> bool:
    """Whether an operand holds lengths of sequences, which the host reads as they are."""
    return index == _PLACE and node.op_type in RECURRENT


def sequence_lengths(node: NodeContext, steps: int) -> SequenceLengths | None:
    """The lengths, if the host knows them in front of the network; None for constants."""
    given, scope = node.item(_PLACE), node.scope
    if not isinstance(given, Value) or not is_given(scope, given) or size(given.type) != 1:
        return None
    if given.name in scope.truncated:
        return None
    one = node.part("length", Reshape((1,)), given)
    every = spread(node, one, (steps,))
    flags = list[Value]()
    for role, word, first in (("present", "greater", 0), ("last", "equal", 1)):
        numbers = scope.constant(f"{node.name}.{role}", np.arange(first, first + steps))
        told = node.part(role, Integer(word), every, numbers)
        note_computed(scope, told, TensorProto.BOOL)
        flags.append(flag(node.within(role), fed(scope, told), "x 0.5 >"))
    return SequenceLengths(node, *flags)
