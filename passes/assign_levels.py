"""Give every value its own number of spike times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qcompiler.ir import Graph, PipelineError, Tensor, Value
from qcompiler.passes.quantization.levels import coded, map_values

from .base import Pass


@dataclass(frozen=True)
class AssignLevels(Pass):
    """Give every value that will be spikes a t_max of its own.

    ``levels`` are numbers with colons between, one for each value of `levels.coded`, in order, for
    each digit of a value that has several; 0 leaves a value to the t_max of the network. Without
    any, nothing changes. Raises PipelineError if there are more or fewer values.
    """

    name: ClassVar[str] = "assign-levels"
    levels: str = ""

    def __post_init__(self) -> None:
        for number in self.numbers:
            if number:
                Tensor((), t_max=number)  # which knows how many there may be

    @property
    def numbers(self) -> tuple[int, ...]:
        """The levels as numbers."""
        return tuple(map(int, self.levels.split(":"))) if self.levels else ()

    def __call__(self, graph: Graph) -> Graph:
        """Write the numbers into the types."""
        values = coded(graph)
        if not self.numbers:
            return graph
        if len(self.numbers) != len(values):
            found = ", ".join(f"%{value.name}" for value in values)
            raise PipelineError(
                f"assign-levels has levels for {len(self.numbers)} values, but {len(values)} "
                f"will be spikes: {found}"
            )
        own = {v.name: n or None for v, n in zip(values, self.numbers, strict=True)}

        def change(value: Value) -> Value:
            if value.name not in own or not isinstance(value.type, Tensor):
                return value
            return replace(value, type=replace(value.type, t_max=own[value.name]))

        return map_values(graph, change)
