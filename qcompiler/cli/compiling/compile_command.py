"""What `qcompile` does, once its command line is read."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcompiler import api, registry
from qcompiler.backends.plots.canvas import need
from qcompiler.backends.program.program import Program
from qcompiler.backends.saving.storage import check_place
from qcompiler.cli.data_options import calibration
from qcompiler.cli.eight_bit import compare_on_calibration_data
from qcompiler.cli.energy import chosen_model
from qcompiler.cli.options import on_cluster, searches
from qcompiler.cli.outputs import check_file, check_places, write_text
from qcompiler.cli.report import check_report, compiled_report
from qcompiler.cli.summary import print_fits, print_summary
from qcompiler.ir import Graph, InvalidGraph, PipelineError, show
from qcompiler.ir.diagnostics import blamed
from qcompiler.passes import Pass
from qcompiler.passes.pipeline import text_of
from qcompiler.passes.tensor.lower_activations import LowerActivations
from qcompiler.search import report
from qcompiler.terminal.console import progress, say, warn

from .calibration_frames import calibration_frames
from .check import check
from .listing import list_all
from .taken_options import check_taken
from .verify import verify

if TYPE_CHECKING:
    from distributed import Client


def run(given: argparse.Namespace) -> int:
    """Compile, or what else is asked for; returns the exit status."""
    if given.list:
        return list_all(given)
    if given.verify is not None:
        return verify(given)
    check_taken(api.pipeline(given.target, given.passes), given)  # before anything else is read
    model = chosen_model(given)
    if given.check:
        return check(given.model, api.preprocessing(**_preprocessing(given)), given)
    for path in given.sweep:
        check_file(path, "--sweep")
        if path.suffix == ".svg":
            need("matplotlib")
    check_report(given)
    if model is not None and given.objective != "latency":
        warn(
            f"--objective {given.objective} goes by the target's own cost model; "
            f"{model.name} is that of the report alone"
        )
    watcher = _Watcher(given)
    if given.emit:
        return _emit(given, watcher)
    output = given.output or Path(f"{given.model.parent / given.model.stem}.{given.target}")
    check_place(output)
    _check_ready(given.target)
    written = [("--sweep", path) for path in given.sweep]
    read = {"the data": given.calibration, "the model": given.model, "the labels": given.labels}
    check_places([*written, ("--report", given.report)], read, output)
    program = _compile(given, watcher)
    program.save(output)
    for path in given.sweep:
        text = report.WRITERS[path.suffix](program.manifest["search"])
        write_text(path, "--sweep", text)
    if given.report is not None:
        frames = calibration_frames(given, program)
        write_text(given.report, "--report", compiled_report(program, output, model, frames))
    print_summary(given, program, output, model)
    compare_on_calibration_data(program, given)
    return 0


def _check_ready(target: str) -> None:
    """ProgramError if a package is missing that writes the files of a target.

    PipelineError if code of a plugin's target fails.
    """
    backend = registry.find_backend(target)
    if backend is not None and backend.ready is not None:
        with blamed(backend.ready, f"the target {target}"):
            backend.ready()


def _emit(given: argparse.Namespace, watcher: _Watcher) -> int:
    """Print what the pipeline makes, also if it stops short of a program."""
    try:
        warned = _compile(given, watcher).warnings
    except InvalidGraph:
        if not watcher.finished:
            raise
        warned = ()
    graph = watcher.tensor_level if given.emit == "ir" else watcher.last
    if graph is None:
        raise PipelineError("the pipeline leaves no graph at the tensor level")
    for text in warned:
        warn(text)
    print(json.dumps({"graph": show(graph)}) if given.json else show(graph), end="")
    return 0


def _preprocessing(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "layout": given.layout,
        "mean_values": given.mean_values,
        "scale_values": given.scale_values,
        "reverse_input_channels": given.reverse_input_channels,
    }


class _Watcher:
    """Keeps the last graphs of both levels, and prints what --print-after asks for."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.wanted = given, given.print_after
        self.verbose, self.quiet = given.verbose, given.quiet
        self.tensor_level: Graph | None = None
        self.last: Graph | None = None
        names = [_name(step) for step in api.pipeline(given.target, given.passes).passes]
        searched = ["clip-outputs", "assign-levels"] if searches(given) else []
        if self.wanted not in (None, "all", *names, *searched):
            known = ", ".join(names + searched)
            raise PipelineError(f"no pass is named {self.wanted}: choose all, or one of {known}")
        self._left = len(names)

    @property
    def finished(self) -> bool:
        """Whether the last pass has run."""
        return self._left == 0

    def __call__(self, step: Pass, graph: Graph) -> None:
        if isinstance(step, LowerActivations) and self.verbose and self.last is not None:
            print_fits(step.fits(self.last))
        self._left -= 1
        self.last = graph
        if not any(node.op.mnemonic.startswith("snn.") for node in graph.nodes):
            self.tensor_level = graph
        if self.wanted in ("all", _name(step)):
            print(f"// after {text_of(step)}\n{show(graph)}", file=sys.stderr)


def _name(step: Pass) -> str:
    return text_of(step).partition("{")[0]


def _compile(given: argparse.Namespace, watcher: _Watcher) -> Program:
    what = "calibrating" if given.calibration else "compiling"
    searching = searches(given)  # in trials whose number is not known
    what = "searching" if searching else what
    bars = progress(what, given.quiet, known=not searching)
    with bars as bar, _client(given) as client:
        return api.compile(
            given.model,
            target=given.target,
            calibration=calibration(given),
            t_max=given.t_max,
            weight_bits=given.weight_bits,
            effort=given.effort,
            slices=given.slices,
            code=given.code,
            percentile=given.percentile,
            proved=given.proved,
            passes=given.passes,
            allow_products=given.allow_products,
            activation_error=given.activation_error,
            input_shapes=dict(given.input_shape),
            input_values=dict(given.input_value),
            states=given.state,
            max_neurons=given.max_neurons,
            max_memory=given.max_memory,
            progress=bar,
            watch=watcher,
            max_drop=given.max_drop,
            max_drift=given.max_drift,
            objective=given.objective,
            tell=None if given.quiet else say,
            client=client,
            **_preprocessing(given),
        )


def _client(given: argparse.Namespace) -> AbstractContextManager[Client | None]:
    """What runs a search on several processes or machines, if that is asked for."""
    if not on_cluster(given):
        return nullcontext()
    from qcompiler.cluster.runs import connected

    return connected(given.workers, given.dask)
