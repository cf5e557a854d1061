"""The calibration data of a compilation, and the states that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from qcompiler import data
from qcompiler.backends.program.states import State
from qcompiler.data import Data
from qcompiler.data.reading import inputs_of
from qcompiler.ir import DataError, Diagnostic, Graph, PipelineError
from qcompiler.ir.prologue import joined, read_in_front, run_prologue
from qcompiler.streaming.calibration import NO_SEARCH, NO_SEQUENCES, with_states
from qcompiler.streaming.pairs import proposed, states_of
from qcompiler.streaming.sequences import read_sequences

from .network import Network
from .options import Options

_HOST_STATE = (
    "give places, counts and other integers as data of each frame, and compare states by < or >"
)


@dataclass(frozen=True)
class Samples:
    """The graph to lower, its states, and calibration data: as given, and as it reads them.

    With states the data are frames of ``sequences``, one after the other. ``alike`` is the graph
    whose states have one scale each.
    """

    graph: Graph
    states: tuple[State, ...] = ()
    given: Data | None = None
    coded: Data | None = None
    sequences: int = 0
    alike: Graph | None = None


def read_samples(network: Network, options: Options) -> Samples:
    """Read the calibration data, if there are any; DataError for data that do not fit."""
    whole = joined(network.prologue, network.graph)
    states = states_of(whole, options.states) if options.states else ()
    _check_states(states, network, options)
    source = options.calibration
    if states:
        return _of_sequences(network, whole, states, options)
    if source is None:
        return Samples(network.graph)
    inputs = inputs_of(network.imported.graph)
    how = options.layout, options.labels, network.imported.unread
    with _states_proposed(network.graph), _shapes_proposed(network):
        given = coded = _widened(data.read(source, inputs, *how))
    if network.prologue is not None:
        coded = replace(given, arrays=run_prologue(network.prologue, *given.arrays))
    return Samples(network.graph, (), given, _saturated(coded, network.graph, network))


def _of_sequences(
    network: Network, whole: Graph, states: tuple[State, ...], options: Options
) -> Samples:
    """The same for a network with states, which the host does not read in front of it."""
    with _states_proposed(network.graph, states):
        found = read_sequences(options.calibration, whole, states, network.imported.unread)
    known = network.graph, states, found.behind(network.prologue), network.t_max
    coded, graph, alike = with_states(*known, options.progress)
    given = _widened(found.as_data(whole, coded))
    coded = _saturated(_widened(coded), graph, network)
    return Samples(graph, states, given, coded, len(found), alike)


@contextmanager
def _states_proposed(graph: Graph, known: tuple[State, ...] = ()) -> Iterator[None]:
    """Add to a DataError without a remedy which inputs may be states beside the known ones."""
    ends = {end for state in known for end in (state.input, state.output)}
    try:
        yield
    except DataError as error:
        others = (one for one in proposed(graph) if ends.isdisjoint((one.input, one.output)))
        if found := " and ".join(f"--state {state}" for state in others):
            when = "frames come in sequences, and carry states between them, give"
            help_ = f"if {'these are states as well, add' if known else when} {found}"
            told = (replace(one, help=one.help or help_) for one in error.diagnostics)
            raise DataError(*told) from error
        raise


@contextmanager
def _shapes_proposed(network: Network) -> Iterator[None]:
    """Add to a DataError without a remedy that an open axis behind a 1 may be no batch axis."""
    try:
        yield
    except DataError as error:
        shapes = {value.name: value.type.shape for value in network.imported.graph.inputs}
        axes = network.imported.batch_axes
        behind = ((name, axes.get(name), shape) for name, shape in shapes.items())
        found = [
            f"--input-shape {name}={','.join(map(str, (*shape[:at], '..', *shape[at:])))}"
            for name, at, shape in behind
            if at and shape[:at] == (1,) * at
        ]
        if not found:
            raise
        help_ = f"if the open axis is no batch axis, fix its length: {' and '.join(found)}"
        told = (replace(one, help=one.help or help_) for one in error.diagnostics)
        raise DataError(*told) from error


def _saturated(found: Data, graph: Graph, network: Network) -> Data:
    """Data as the model's own codes of its inputs take them: passes run graphs without these."""
    arrays = []
    for value, array in zip(graph.inputs, found.arrays, strict=True):
        low, high = network.bounds.get(value.name, (-np.inf, np.inf))
        beyond = array.size and (array.min() < low or array.max() > high)
        arrays.append(np.clip(array, low, high).astype(np.float32) if beyond else array)
    return replace(found, arrays=tuple(arrays))


def _widened(found: Data) -> Data:
    """Half-precision numbers as float32: sums of them, and places of bins, would be rounded."""
    return replace(
        found,
        arrays=tuple(
            array.astype(np.float32) if array.dtype == np.float16 else array
            for array in found.arrays
        ),
    )


def _check_states(states: tuple[State, ...], network: Network, options: Options) -> None:
    if not states:
        return
    if options.calibration is None or options.budget is not None:
        raise PipelineError(NO_SEQUENCES if options.calibration is None else NO_SEARCH)
    known = {value.name for value in network.graph.inputs} - read_in_front(network.prologue)
    if state := next((state for state in states if state.input not in known), None):
        message = f"state {state}: {state.input} is not read by the network, but by the host"
        raise PipelineError(Diagnostic(message, help=_HOST_STATE))
