"""The error of each output of a program, and what its levels explain of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from qcompiler.backends.program.program import Program
from qcompiler.ir import Diagnostic, Graph
from qcompiler.ir.ann import Affine, Function
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View

from .compared_outputs import Compared
from .errors.judge import TOLERATED, Explained, noise, on, unexplained
from .errors.level_errors import LevelCounts, values_in_levels
from .errors.output_causes import Causes
from .errors.output_error import OutputError, output_error

_FINEST = 1 << 20  # levels: as good as none
_HARDLY = 0.6  # of an error, that is left without its cause


@dataclass(frozen=True)
class Judged:
    """An output, and what levels explain of its error, if that is known.

    ``probabilities`` are what a softmax of the host makes of it, if the output is that.
    """

    compared: Compared
    error: OutputError
    explained: Explained | None
    probabilities: Judged | None = None
    by_input: Callable[[], tuple[str, str] | None] = lambda: None

    def remembered(self) -> dict[str, Any]:
        """What a program remembers of it, as JSON data."""
        levels = self.explained.error.to_dict()["error"] if self.explained else None
        return {**self.error.to_dict(), "levels": levels}

    def finding(self, data: str, causes: Causes) -> Diagnostic | None:
        """A warning on a large error, or one beyond what levels explain."""
        arrays, levels = self.compared.centred(), self.explained
        causes = replace(causes, by_input=self.by_input)
        found = noise(self.error, *arrays, data, causes, levels)
        if found is None and levels:
            found = unexplained(self.error, *arrays, data, levels, causes)
        behind = self.probabilities
        if found is None and behind:
            found = _magnified(behind.error, self.error, data, causes, behind.explained)
        return found


def judged(
    graph: Graph, program: Program, data: tuple[Array, ...], compared: Sequence[Compared]
) -> Iterator[Judged]:
    """Every output, in order; ``graph`` is the model's, without batch normalisations."""
    counts = LevelCounts.of(program)
    every = {one.value: one for one in compared}
    every |= {end.value: end for one in compared if (end := one.probabilities)}
    arrays = values_in_levels(graph, counts, data, list(every)) or ()
    in_levels = dict(zip(every, arrays, strict=False))  # none if a value becomes infinite

    def one_of(one: Compared, behind: Judged | None = None) -> Judged:
        explained = None
        if one.value in in_levels:
            ours = replace(one, ours=in_levels[one.value])
            explained = Explained(output_error(one.name, *ours.centred()), counts.outputs)
        return Judged(one, output_error(one.name, *one.centred()), explained, behind)

    for one in compared:
        found = one_of(one, one_of(one.probabilities) if one.probabilities else None)
        yield replace(found, by_input=partial(_coarse_input, graph, counts, data, found))


def _coarse_input(
    graph: Graph, counts: LevelCounts, data: tuple[Array, ...], found: Judged
) -> tuple[str, str] | None:
    """The input whose levels, in front of a function of it, make most of an error; what helps."""
    one, explained = found.compared, found.explained.of(None) if found.explained else None
    for name, levels in counts.inputs.items():
        function = _function_of(graph, name)
        if not function or not levels or explained is None:
            continue
        finer = replace(counts, inputs={**counts.inputs, name: _FINEST})
        arrays = values_in_levels(graph, finer, data, [one.value])
        ours = replace(one, ours=arrays[0]).centred() if arrays else one.centred()
        if (output_error(one.name, *ours).error or 0.0) < _HARDLY * explained:
            remedy = f'cut the model behind "{function}", and give the data as that gives them'
            return f'the {levels:,} levels of input "{name}"', remedy
    return None


def _function_of(graph: Graph, name: str) -> str:
    """The node that computes a function of an input's elements, in front of all layers."""
    known = {name}
    for node in graph.nodes:
        if any(operand.name in known for operand in node.operands[:1]):
            if isinstance(node.op, Function):
                return node.origin[-1] if node.origin else node.result.name
            if isinstance(node.op, Affine | View):
                known.add(node.result.name)
    return ""


def _magnified(
    found: OutputError,
    scores: OutputError,
    data: str,
    causes: Causes,
    explained: Explained | None,
) -> Diagnostic | None:
    """The warning on probabilities with too large an error, or one beyond what levels explain.

    The ``scores`` in front of them deserve none. ``data`` is what the frames are called.
    """
    if found.error is None or scores.error is None:
        return None
    text = f'the error of output "{found.name}" is {found.error:.0%} of its spread '
    text += on(found.frames, data)
    beyond = explained is not None and explained.exceeded(found.error, None) > 1
    if beyond and explained:
        text += f", where levels explain {explained.of(None) or 0.0:.1%}"
    elif found.error <= TOLERATED:
        return None
    text += f": its softmax magnifies that of its scores, which is {scores.error:.0%} of theirs"
    return Diagnostic(text, help=causes.remedy)
