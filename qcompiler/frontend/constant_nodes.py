"""Nodes that read only known values: they are computed while the model is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx

from qcompiler.frontend.importers.table import imported
from qcompiler.frontend.importers.table_of_quantised import CONSTANT_QUANTS
from qcompiler.frontend.model.constant_folding import (
    FoldingBudget,
    KnownArray,
    TooLarge,
    compute,
    folds,
)
from qcompiler.frontend.model.node_context import NodeContext, attributes_of
from qcompiler.frontend.model.node_errors import InvalidNode, Refused, first_line, fixes_batch
from qcompiler.frontend.model.refusals import FOLD_CONSTANTS
from qcompiler.frontend.model.scope import AbstractValue

from .interpreter_state import InterpreterState
from .model_graph import Entry


class ConstantNodes:
    """Computes nodes of one model, within a budget of memory."""

    def __init__(self, interpreter: InterpreterState) -> None:
        self.interpreter = interpreter
        arrays = interpreter.model.arrays.values()
        self.budget = FoldingBudget(sum(array.nbytes for array in arrays))

    def __call__(
        self, entry: Entry, inputs: Sequence[KnownArray | None]
    ) -> dict[str, AbstractValue]:
        """The results of a node, by their names in the model."""
        op_type, interpreter = entry.op_type, self.interpreter
        if op_type == "Identity" and inputs and inputs[0]:
            interpreter.report.note(entry, "constant")
            return {entry.node.output[0]: inputs[0]}
        if op_type in CONSTANT_QUANTS:
            interpreter.report.note(entry, "constant")
            return self._quantised(entry, inputs)
        if not folds(op_type):
            raise Refused(f"{op_type} applied to constants is not supported", FOLD_CONSTANTS)
        found = self.evaluated(entry.node, interpreter.opset, inputs)
        interpreter.report.note(entry, "constant")
        return {known.name: replace(known, name=known.name + interpreter.suffix) for known in found}

    def _quantised(
        self, entry: Entry, inputs: Sequence[KnownArray | None]
    ) -> dict[str, AbstractValue]:
        """A constant that is rounded to a code."""
        names, opset = tuple(entry.node.output), self.interpreter.opset
        given = (self.interpreter.scope, entry.name, entry.op_type, opset, tuple(inputs), names)
        node = NodeContext(*given, attributes_of(entry.node))
        return dict(zip(names, imported(entry.op_type, node), strict=True))

    def evaluated(
        self, node: onnx.NodeProto, opset: int, inputs: Sequence[KnownArray | None]
    ) -> tuple[KnownArray, ...]:
        """The results of a node as onnx computes them, under each probe of the batch size."""
        try:
            return compute(node, opset, inputs, len(self.interpreter.scope.probes), self.budget)
        except TooLarge as error:
            raise Refused(f"{node.op_type} would compute {error}", FOLD_CONSTANTS) from error
        except Exception as error:  # whatever onnx finds wrong with the node
            if any(known is not None and known.fixed is None for known in inputs):
                raise fixes_batch(node.op_type) from error
            raise InvalidNode(f"cannot be computed ({first_line(error)})") from error
