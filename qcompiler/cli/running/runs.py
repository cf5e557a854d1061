"""What `qrun` measures: a program, and the model beside it, on frames or on sequences of them."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod

from qcompiler import api, data
from qcompiler.backends.host import Measured
from qcompiler.backends.program.program import Program
from qcompiler.backends.program.stream import run_stream as run_states
from qcompiler.cli.data_options import data_set
from qcompiler.cli.options import on_cluster
from qcompiler.data.streamed_run import StreamedRun, run_stream
from qcompiler.explain.measure.onnx_reference import run_sequences
from qcompiler.explain.measure.reference import Reference
from qcompiler.ir import DataError, ProgramError, Tensor
from qcompiler.ir.kernels import Array
from qcompiler.streaming.sequences import Sequences, read_sequences
from qcompiler.terminal.console import progress, warn


@dataclass(frozen=True)
class Run:
    """The frames that were run, what the program gives, and what the model gives if it is asked.

    In a stream, the frames hold the states as the model has them, or else the program. ``skipped``
    names bad frames that were left out; an ``interrupted`` run has results of the first frames.
    """

    frames: data.Frames
    measured: Measured
    reference: Mapping[str, Array] | None
    skipped: Collection[str] = ()
    interrupted: bool = False


def run_program(program: Program, given: argparse.Namespace) -> Run:
    """Run what the options say. Raises ProgramError for ``--stream`` without states."""
    if not given.stream:
        return _frames(program, given)
    if not program.states:
        raise ProgramError(
            f"{given.program} has no states to stream: compile the model with --state OUT:IN"
        )
    whole = program.prologue or program.graph
    found = read_sequences(data_set(given.data, given), whole, program.states).head(given.limit)
    _check_labels(program, program.returned[0], found.labels)
    return _sequences(program, given, found)


def _check_labels(program: Program, output: str, labels: Array | None) -> None:
    """DataError before the run for labels that are no classes of an output with scores."""
    graph = program.graph
    value = dict(zip(graph.output_names, graph.outputs, strict=True))[output]
    names_itself = isinstance(value.type, Tensor) and value.type.dtype == "i64"
    classes = prod(value.type.shape)
    one_axis = classes == max(value.type.shape, default=0) > 1
    if labels is not None and one_axis and not names_itself:
        data.check_labels(labels, classes)


def _frames(program: Program, given: argparse.Namespace) -> Run:
    layout = program.manifest.get("preprocessing", {}).get("layout")
    try:
        source, inputs = data_set(given.data, given), api.inputs_of(program)
        found = data.open_stream(source, inputs, layout, given.limit)
        for sentence in found.source.told:
            warn(sentence)
        _check_labels(program, program.graph.output_names[0], found.known_labels)
        done = _streamed(program, found, given)
    except DataError as error:
        if not program.states:
            raise
        names = ", ".join(state.input for state in program.states)
        help_ = f"{names} are states of the program: add --stream to carry them between frames"
        raise DataError(
            *(replace(one, help=one.help or help_) for one in error.diagnostics)
        ) from error
    return Run(found, done.measured, done.reference, found.skipped, done.interrupted)


def _streamed(program: Program, found: data.Stream, given: argparse.Namespace) -> StreamedRun:
    """Run the data batch by batch in this process, or on several."""
    with ExitStack() as stack:
        reference = None
        if given.against is not None:
            model = stack.enter_context(Reference(given.against, program.manifest))
            reference = model.run
        bar = stack.enter_context(progress(f"running on {given.engine}", given.quiet))

        def tell(frames: int) -> None:
            bar(frames / len(found))

        if not on_cluster(given):
            return run_stream(program, found, given.engine, reference=reference, progress=tell)
        from qcompiler.cluster import runs as cluster

        client = stack.enter_context(cluster.connected(given.workers, given.dask))
        return cluster.run_stream(program, found, client, given.engine, reference, tell)


def _sequences(program: Program, given: argparse.Namespace, found: Sequences) -> Run:
    count, total = len(found), len(found) * found.frames
    with progress(f"running on {given.engine}", given.quiet) as bar:
        measured = run_states(
            program,
            found.arrays,
            given.engine,
            lambda frames: bar(frames / total),
            tell=lambda finding: warn(finding.text),
        )
    graph, states = program.prologue or program.graph, program.states
    outputs: Mapping[str, Array] = {
        name: array.reshape(count, found.frames, *array.shape[1:])
        for name, array in measured.outputs.items()
    }
    reference = None
    if given.against is not None:
        whole = found.with_states(graph, states)
        with progress("running the ONNX model", given.quiet) as bar:
            outputs = run_sequences(given.against, whole, states, program.manifest, bar)
        reference = {n: array.reshape(total, *array.shape[2:]) for n, array in outputs.items()}
    return Run(found.as_frames(graph, states, outputs), measured, reference)
