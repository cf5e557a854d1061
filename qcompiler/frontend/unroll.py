"""Loop and Scan, step by step, and the branch of If that is taken.

The nodes of a body are imported once for every step, each time on other values, as if the model
had spelt them out. How many steps there are, or which branch is taken, must be known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import attributes_of
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.scope import AbstractValue, Unknown
from qcompiler.ir import Diagnostic, Value

from .interpreter_state import InterpreterState
from .known_numbers import FIXED, known_flag, known_number, scanned_axes
from .model_graph import Entry, entries
from .subgraphs import Subgraph, Subgraphs, graph_of

_MOST_ROUNDS = 1 << 12  # of a loop that its condition may end earlier
_LEFT_OUT = "without its condition, which depends on the data"


class Unroller:
    """Imports the nodes of bodies, once for every step."""

    def __init__(self, interpreter: InterpreterState) -> None:
        self.interpreter = interpreter
        self.subgraphs = Subgraphs(interpreter)

    def __call__(self, entry: Entry, inputs: Sequence[AbstractValue]) -> dict[str, AbstractValue]:
        """The results of Loop, Scan or If, by their names in the model."""
        run = {"If": self._if, "Loop": self._loop, "Scan": self._scan}[entry.op_type]
        found, how = run(entry, inputs)
        if self.interpreter.report.refused_in(entry):
            self.interpreter.report.note(entry, "compiled", how)
            return {}
        constant = all(item is None or isinstance(item, KnownArray) for item in found)
        self.interpreter.report.note(entry, "constant" if constant else "compiled", how)
        names = entry.node.output
        if len(names) > len(found):
            raise InvalidNode(f"has {len(names)} outputs, but its body returns {len(found)}")
        for name, item in zip(names, found, strict=False):
            if item is None and name in self.interpreter.used:
                raise Refused(f"{entry.op_type} with zero iterations gives an empty result")
        return {n: i for n, i in zip(names, found, strict=False) if n and i is not None}

    def _if(self, entry: Entry, inputs: Sequence[AbstractValue]) -> tuple[list[AbstractValue], str]:
        chosen = known_flag(inputs[0] if inputs else None, entry.op_type)
        taken = "then_branch" if chosen else "else_branch"
        other = "else_branch" if chosen else "then_branch"
        key, graph = graph_of(entry, other)
        for inner in entries(graph, key, f"{entry.name}/"):
            self.interpreter.report.note(inner, "removed", "its branch never runs")
        return self.subgraphs.run(entry, self.subgraphs.of(entry, taken), (), ""), f"its {taken}"

    def _loop(
        self, entry: Entry, inputs: Sequence[AbstractValue]
    ) -> tuple[list[AbstractValue], str]:
        body = self.subgraphs.of(entry, "body")
        padded = [*inputs, None, None]
        count, go, states = padded[0], padded[1], list(inputs[2:])
        most = None if count is None else int(known_number(count, "trip count", "Loop"))
        running = go is None or known_flag(go, "Loop")
        rows: list[list[AbstractValue]] = [[] for _ in range(len(body.outputs) - 1 - len(states))]
        if len(body.inputs) != len(states) + 2 or len(body.outputs) <= len(states):
            raise InvalidNode(f"carries {len(states)} values, but its body has a different number")
        time, how = 0, ""
        while running and (most is None or time < most):
            given = (self._scalar(time), self._scalar(True), *states)
            if not how and most is not None and self.subgraphs.first_depends_on_data(body, given):
                body, how = self._rounds(entry, body, most), f", {_LEFT_OUT}"
            goes_on, *found = self.subgraphs.run(entry, body, given, f".{time}")
            states, row = found[: len(states)], found[len(states) :]
            for held, item in zip(rows, row, strict=True):
                held.append(item)
            time += 1
            if self.interpreter.report.refused_in(entry) or isinstance(goes_on, Unknown):
                break
            running = known_flag(goes_on, "Loop")
        stacks = [self._stack(entry, row, 0, f"stack{n}") for n, row in enumerate(rows)]
        return [*states, *stacks], _steps(time) + how

    def _rounds(self, entry: Entry, body: Subgraph, most: int) -> Subgraph:
        """A body that runs in every round, whatever its condition says."""
        if most > _MOST_ROUNDS:
            raise Refused("the condition of Loop depends on the data", FIXED)
        self.interpreter.report.assume(
            Diagnostic(
                f"the condition of Loop depends on the data: all {most} rounds are run",
                (entry.name,),
                "this is right if further rounds change nothing, as where the loop converges; "
                "else export the model with a fixed number of rounds",
            )
        )
        return self.subgraphs.without_condition(body)

    def _scan(
        self, entry: Entry, inputs: Sequence[AbstractValue]
    ) -> tuple[list[AbstractValue], str]:
        if self.interpreter.opset < 9:
            raise Refused("Scan of opset 8 is not supported", "export with opset 9 or newer")
        body, attributes = self.subgraphs.of(entry, "body"), attributes_of(entry.node)
        count = attributes.get("num_scan_inputs", 0)
        if not isinstance(count, int):
            raise InvalidNode("has num_scan_inputs of the wrong type")
        given = len(inputs) - count
        if not 0 < count <= len(inputs) or None in inputs or len(body.inputs) != len(inputs):
            raise InvalidNode(f"scans {count} of {len(inputs)} inputs")
        if len(body.outputs) < given:
            raise InvalidNode(f"carries {given} values, but its body returns fewer")
        states, sources = list(inputs[:given]), inputs[given:]
        rows: list[list[AbstractValue]] = [[] for _ in body.outputs[given:]]
        taken = scanned_axes(attributes, "scan_input", count)
        length = self._length(sources, [axis for axis, _ in taken])
        for time in range(length):
            parts = [
                self._part(entry, source, axis, length - 1 - time if back else time)
                for source, (axis, back) in zip(sources, taken, strict=True)
            ]
            found = self.subgraphs.run(entry, body, (*states, *parts), f".{time}")
            states = found[:given]
            for held, item in zip(rows, found[given:], strict=True):
                held.append(item)
            if self.interpreter.report.refused_in(entry):
                break
        made = scanned_axes(attributes, "scan_output", len(rows))
        stacks = [
            self._stack(entry, row[::-1] if back else row, axis, f"stack{n}")
            for n, (row, (axis, back)) in enumerate(zip(rows, made, strict=True))
        ]
        return [*states, *stacks], _steps(length)

    def _length(self, sources: Sequence[AbstractValue], axes: Sequence[int]) -> int:
        """How many slices all scanned values have."""
        lengths = set()
        for item, axis in zip(sources, axes, strict=True):
            if isinstance(item, Value):
                shapes = self.interpreter.scope.full_shapes(item)
            else:
                assert isinstance(item, KnownArray)
                shapes = tuple(array.shape for array in item.arrays)
            if not -len(shapes[0]) <= axis < len(shapes[0]):
                raise InvalidNode(f"scans axis {axis} of a value of shape {shapes[0]}")
            lengths |= {shape[axis] for shape in shapes}
        if len(lengths) > 1:
            if {*lengths} >= {*self.interpreter.scope.probes}:
                raise Refused("Scan along the batch axis mixes samples")
            raise InvalidNode(f"scans values of different lengths {sorted(lengths)}")
        return lengths.pop()

    def _part(self, entry: Entry, source: AbstractValue, axis: int, index: int) -> AbstractValue:
        return self.interpreter.derived(
            entry, "Gather", [source, self._scalar(index)], f"part{index}", axis=axis
        )

    def _stack(
        self, entry: Entry, row: Sequence[AbstractValue], axis: int, name: str
    ) -> AbstractValue:
        """The values of all steps along a new axis; None if there are none."""
        place = self._scalar([axis])
        grown = [
            self.interpreter.derived(entry, "Unsqueeze", [item, place], f"{name}.{time}")
            for time, item in enumerate(row)
        ]
        if len(grown) < 2:
            return grown[0] if grown else None
        return self.interpreter.derived(entry, "Concat", grown, name, axis=axis)

    def _scalar(self, number: int | list[int]) -> KnownArray:
        return self.interpreter.scope.known(np.asarray(number), "number")


def _steps(count: int) -> str:
    return f"unrolled, {count} step{'s' * (count != 1)}"
