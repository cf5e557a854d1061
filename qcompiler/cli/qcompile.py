"""`qcompile`: from an ONNX file to a compiled program."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qcompiler import api, registry
from qcompiler.backends.plots.canvas import need
from qcompiler.backends.program import Program
from qcompiler.backends.storage import check_place
from qcompiler.console import add_verbosity, guarded, progress, say, warn
from qcompiler.data.find import readers
from qcompiler.ir import (
    CompileError,
    CompileWarning,
    Graph,
    InvalidGraph,
    PipelineError,
    show,
)
from qcompiler.ir.spiking.codes import CODES
from qcompiler.passes import Pass
from qcompiler.passes.folding.clips import is_code
from qcompiler.passes.lower_activations import LowerActivations
from qcompiler.passes.normalize import Normalize
from qcompiler.passes.quantization.levels import spiking_values
from qcompiler.search import report
from qcompiler.search.pareto import OBJECTIVES

from .check import check
from .data_options import add_data_options, calibration
from .energy import add_energy_model, chosen_model
from .outputs import check_file, write_text
from .report import add_report, check_report, compiled_report
from .summary import print_fits, print_summary
from .verify import verify

_EPILOG = """\
examples:
  qcompile model.onnx --calibration images.npz --scale-values 255
  qcompile model.onnx --target reference --t-max 32 -o model.out
  qcompile model.onnx --calibration images.npz --max-drift 1 --sweep front.svg
  qcompile --verify model.loihi model.onnx images.npz   build it again, and compare
  qcompile model.onnx --check                      how each node is compiled
  qcompile model.onnx --emit snn                   print the spiking network, write nothing
  qcompile model.onnx --passes "fold-batchnorm,my_package.passes:Mine{depth=2},normalize,\\
      quantize,assign-windows,insert-readout"

DATA is a data file or a folder of images: docs/howto/data.md lists what can be read. Of large sets
a part is read, evenly spread. Labels tell how well the model and the program answer.
Exit status: 0 success, 1 model refused or error, 2 wrong usage.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.verify is not None and len(given.verify) > 3:
        parser.error("--verify takes DIR, MODEL.onnx and the calibration data")
    if given.model is None and not given.list and given.verify is None:
        parser.error("the following arguments are required: MODEL.onnx")
    if (given.sweep or given.objective != "latency") and not _searches(given):
        parser.error("--sweep and --objective need --max-drop or --max-drift")
    return guarded(_run, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qcompile",
        description="Compile a trained ONNX network into a spiking network: one spike per value.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL.onnx", nargs="?", type=Path, help="the trained network")
    add("-o", "--output", metavar="DIR", type=Path, help="program directory (MODEL.TARGET)")
    add(
        "--target",
        type=_target,
        default="loihi",
        help="loihi (default), loihi1, reference, or a plugin's",
    )
    add("--calibration", metavar="DATA", type=Path, help="typical inputs, to measure value ranges")
    levels = "number of spike times per value (16, or the levels of a quantised model)"
    add("--t-max", metavar="N", type=int, help=levels)
    products = "compile products of two data-dependent values; this takes many neurons"
    add("--allow-products", action="store_true", help=products)
    error = "largest error of fitted functions, relative to their output range (half a level)"
    add("--activation-error", metavar="E", type=float, default=0.0, help=error)
    add(
        "--weight-bits",
        metavar="N",
        type=int,
        help="bits per weight (8; reference: more from 64 levels on)",
    )
    add(
        "--effort",
        type=int,
        choices=(0, 1, 2),
        default=1,
        help="accuracy optimization on calibration data: 0 none, 1 some (default), 2 more",
    )
    parts = "largest number of populations that share the range of one value (4): more levels, "
    parts += "same latency"
    add("--slices", metavar="N", type=int, default=4, help=parts)
    codes = "how levels are sent: auto (default) takes what costs least on the calibration data"
    add("--code", choices=("auto", *CODES), default="auto", help=codes)
    axes = "lengths of an input's axes that the model leaves open; a name in place of a length "
    axes += "leaves the batch axis open; repeatable"
    add("--input-shape", metavar="NAME=N,3,..", type=_shape, action="append", default=[], help=axes)
    cut = "clip ranges at this percentile of the calibration data (default: least squared error)"
    add("--percentile", metavar="P", type=float, help=cut)
    proofs = "use only limits that are proven from the weights, none from calibration data"
    add("--proved", action="store_true", help=proofs)
    neurons = "most neurons that the network may have (100 million)"
    add("--max-neurons", metavar="N", type=int, help=neurons)
    memory = "most memory in GB that compiling may take, as estimated (that of the machine)"
    add("--max-memory", metavar="GB", type=float, help=memory)
    found = parser.add_argument_group(
        "search on the calibration data for the schedule of lowest latency, in place of --t-max"
    )
    add = found.add_argument
    most = found.add_mutually_exclusive_group()
    drop = "largest loss of accuracy in percentage points; needs labels"
    most.add_argument("--max-drop", metavar="P", type=float, help=drop)
    drift = "largest share of changed predictions in percent"
    most.add_argument("--max-drift", metavar="P", type=float, help=drift)
    goal = "what is to be low: latency (default), energy of a frame, or energy-delay product (edp)"
    add("--objective", choices=OBJECTIVES, default="latency", help=goal)
    sweep = "write all measured schedules: a table (.csv, .json) or a plot (.svg); repeatable"
    add("--sweep", metavar="FILE", type=_sweep, action="append", default=[], help=sweep)
    add_data_options(parser, calibration=True)
    what = parser.add_argument_group(
        "preprocessing that becomes part of the network: (x - mean) / scale"
    )
    add = what.add_argument
    add("--layout", choices=("nhwc", "nchw"), help="the model's input layout")
    each = "one number, or one per channel"
    add("--mean-values", metavar="a,b,c", type=_numbers, default=(), help=each)
    add("--scale-values", metavar="a,b,c", type=_numbers, default=(), help=each)
    swap = "swap RGB and BGR"
    add("--reverse-input-channels", action="store_true", help=swap)
    seen = parser.add_argument_group("inspection")
    add = seen.add_argument
    add("--passes", metavar="PIPELINE", help="passes to run instead of the target's")
    emit = "print the tensor graph (ir) or the spiking network (snn); write nothing"
    add("--emit", choices=("ir", "snn"), help=emit)
    add("--print-after", metavar="PASS", help="print the graph after this pass, or after all")
    how = "show how each node is compiled; exit status 1 if any is refused"
    add("--check", action="store_true", help=how)
    same = (
        "build a program again from its model and calibration data, and say whether it is the same"
    )
    add("--verify", metavar=("DIR", "MODEL"), nargs="+", type=Path, help=same)
    add("--list", action="store_true", help="list targets, passes, engines and readers")
    add_energy_model(parser)
    add_report(parser)
    add_verbosity(parser)
    return parser


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 1,2,3, not {text!r}") from None


def _shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    name, _, axes = text.rpartition("=")
    parts = [part.strip() for part in axes.split(",")]
    if not name or not all(part == "?" or part.isidentifier() or _length(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected NAME=N,3,224,224, not {text!r}")
    return name, tuple(int(part) if _length(part) else part for part in parts)


def _length(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _target(text: str) -> str:
    """The name of a target; its plugin is loaded later."""
    try:
        names = registry.backend_names()
    except CompileError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if text not in names:
        raise argparse.ArgumentTypeError(f"no target is named {text!r}: choose {', '.join(names)}")
    return text


def _sweep(text: str) -> Path:
    if Path(text).suffix not in report.WRITERS:
        known = ", ".join(report.WRITERS)
        raise argparse.ArgumentTypeError(f"{text!r} should end in one of {known}")
    return Path(text)


def _searches(given: argparse.Namespace) -> bool:
    return given.max_drop is not None or given.max_drift is not None


def _run(given: argparse.Namespace) -> int:
    if given.list:
        return _list(given)
    if given.verify is not None:
        return verify(given)
    api.pipeline(given.target, given.passes)  # before anything else is read
    model = chosen_model(given)
    if given.check:
        return check(given.model, api.preprocessing(**_preprocessing(given)), given)
    for path in given.sweep:
        check_file(path, "--sweep")
        if path.suffix == ".svg":
            need("matplotlib")
    check_report(given)
    watcher = _Watcher(given)
    if given.emit:
        return _emit(given, watcher)
    output = given.output or Path(f"{given.model.parent / given.model.stem}.{given.target}")
    check_place(output)
    program = _compile(given, watcher)
    program.save(output)
    for path in given.sweep:
        text = report.WRITERS[path.suffix](program.manifest["search"])
        write_text(path, "--sweep", text)
    if given.report is not None:
        write_text(given.report, "--report", compiled_report(given, program, output, model))
    print_summary(given, program, output, model)
    return 0


def _emit(given: argparse.Namespace, watcher: _Watcher) -> int:
    """Print what the pipeline makes, also if it stops short of a program."""
    try:
        _compile(given, watcher)
    except InvalidGraph:
        if not watcher.finished:
            raise
    graph = watcher.tensor_level if given.emit == "ir" else watcher.last
    if graph is None:
        raise PipelineError("the pipeline leaves no graph at the tensor level")
    print(json.dumps({"graph": show(graph)}) if given.json else show(graph), end="")
    return 0


def _preprocessing(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "layout": given.layout,
        "mean_values": given.mean_values,
        "scale_values": given.scale_values,
        "reverse_input_channels": given.reverse_input_channels,
    }


def _warn_uncalibrated(given: argparse.Namespace) -> None:
    high = api.assumed_high(given.mean_values, given.scale_values)
    warn(
        "no --calibration: ranges come from the weights alone, for inputs from "
        f"0 to {high:g}. They are much wider than the real values: expect to need a much "
        "larger --t-max, or to lose accuracy"
    )


class _Watcher:
    """Keeps the last graphs of both levels, and prints what --print-after asks for."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.wanted = given, given.print_after
        self.verbose, self.quiet = given.verbose, given.quiet
        self.tensor_level: Graph | None = None
        self.last: Graph | None = None
        names = [_name(step) for step in api.pipeline(given.target, given.passes).passes]
        searched = ["clip-outputs", "assign-levels"] if _searches(given) else []
        if self.wanted not in (None, "all", *names, *searched):
            known = ", ".join(names + searched)
            raise PipelineError(f"no pass is named {self.wanted}: choose all, or one of {known}")
        self._left = len(names)

    @property
    def finished(self) -> bool:
        """Whether the last pass has run."""
        return self._left == 0

    def __call__(self, step: Pass, graph: Graph) -> None:
        if isinstance(step, LowerActivations) and not self.quiet and self.last is not None:
            print_fits(list(step.fits(self.last)), self.verbose)
        if isinstance(step, Normalize) and not self.quiet and self.given.calibration is None:
            values = spiking_values(self.last) if self.last is not None else ()
            if any(not is_code(value) for value in values):
                _warn_uncalibrated(self.given)
        self._left -= 1
        self.last = graph
        if not any(node.op.mnemonic.startswith("snn.") for node in graph.nodes):
            self.tensor_level = graph
        if self.wanted in ("all", _name(step)):
            print(f"// after {step}\n{show(graph)}", file=sys.stderr)


def _name(step: Pass) -> str:
    return str(step).partition("{")[0]


def _compile(given: argparse.Namespace, watcher: _Watcher) -> Program:
    what = "calibrating" if given.calibration else "compiling"
    searching = _searches(given)  # in trials whose number is not known
    what = "searching" if searching else what
    with progress(what, given.quiet, known=not searching) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)  # print_summary tells them
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
            max_neurons=given.max_neurons,
            max_memory=given.max_memory,
            progress=bar,
            watch=watcher,
            max_drop=given.max_drop,
            max_drift=given.max_drift,
            objective=given.objective,
            tell=None if given.quiet else say,
            **_preprocessing(given),
        )


def _list(given: argparse.Namespace) -> int:
    names = registry.backend_names()
    backends = [registry.find_backend(name) for name in names]
    found = {
        "targets": {b.name: b.description for b in backends if b is not None},
        "passes": {name: _purpose(name) for name in registry.pass_names()},
        "engines": {engine.name: engine.description for engine in registry.engines()},
        "readers": {reader.name: reader.description for reader in readers()},
    }
    if given.json:
        print(json.dumps(found))
        return 0
    for kind, rows in found.items():
        print(f"{kind}:")
        for name, text in rows.items():
            print(f"  {name:<19}{text}")
    return 0


def _purpose(name: str) -> str:
    kind = registry.find_pass(name)
    return (kind.__doc__ or "").strip().splitlines()[0] if kind else ""


if __name__ == "__main__":
    sys.exit(main())
