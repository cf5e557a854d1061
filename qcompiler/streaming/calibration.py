"""Calibration of a network with states: on sequences, as the real network goes through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qcompiler.backends.program.states import State
from qcompiler.data import Data
from qcompiler.ir import Graph

from .rollout import rollout
from .sequences import Sequences
from .tied_codes import tied

NO_SEQUENCES = "states need calibration data, sequences of frames: give --calibration"
NO_SEARCH = "--max-drop and --max-drift do not search networks with states: give --t-max"


def with_states(
    graph: Graph,
    states: Sequence[State],
    given: Sequences,
    t_max: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[Data, Graph, Graph]:
    """Data of single frames, states included, and the graph whose states have codes.

    Also that graph with one scale for all elements of a state, for which weights need fewer bits.
    ``given`` is what the graph reads. Raises DataError for states that become infinite.
    """
    arrays = rollout(graph, states, given, progress)
    names = tuple(value.name for value in graph.inputs)
    seen = dict(zip(names, arrays, strict=True))
    whole, alike = (tied(graph, states, seen, t_max, own) for own in (True, False))
    return Data(arrays, given.labels, names), whole, alike
