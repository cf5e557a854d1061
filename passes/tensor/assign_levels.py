"""Set the number of spike times of each value, where it differs from the network's t_max."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qcompiler.ir import Graph, PipelineError, Tensor, Value
from qcompiler.passes.base import Pass
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.quantization.levels import map_values, spiking_values


@dataclass(frozen=True)
class AssignLevels(Pass):
    """Set the t_max of each value that becomes spikes.

    ``levels`` lists the numbers with colons between them, one per value, in the order of
    `levels.spiking_values`. For a value in digits, the number counts the levels of each digit. 0
    keeps the t_max of the network, or of a quantised model's code. An empty list changes nothing.
    Raises PipelineError if the count does not match.
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
        values = spiking_values(graph)
        if not self.numbers:
            return graph
        if len(self.numbers) != len(values):
            found = ", ".join(f"%{value.name}" for value in values)
            raise PipelineError(
                f"assign-levels lists levels for {len(self.numbers)} values, but {len(values)} "
                f"values become spikes: {found}"
            )
        own = {v.name: n or _own(v) for v, n in zip(values, self.numbers, strict=True)}

        def change(value: Value) -> Value:
            if value.name not in own or not isinstance(value.type, Tensor):
                return value
            return replace(value, type=replace(value.type, t_max=own[value.name]))

        return map_values(graph, change)


def _own(value: Value) -> int | None:
    type_ = value.type
    return type_.t_max if isinstance(type_, Tensor) and is_code(value) else None
