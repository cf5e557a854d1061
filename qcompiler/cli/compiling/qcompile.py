"""`qcompile`: from an ONNX file to a compiled program. This is its command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from qcompiler.cli.completion import SHELLS, PrintCompletion, complete, suggest
from qcompiler.cli.idle_options import check_data, check_list, check_shown, check_verify
from qcompiler.cli.options import (
    add_cluster,
    add_common,
    add_data_options,
    add_report,
    on_cluster,
    searches,
)

# The help loads nothing that compiles, so these stand here as well.
CODES = ("one-spike", "silent", "burst")
OBJECTIVES = ("latency", "energy", "edp")
INSPECTIONS = ("check", "emit", "verify", "list")  # in place of a program; exclude each other
WRITTEN = {"-o": "output", "--report": "report", "--sweep": "sweep"}
SWEEPS = (".csv", ".json", ".svg")

_EPILOG = """\
examples:
  qcompile model.onnx --calibration images.npz --scale-values 255
  qcompile model.onnx --target reference --t-max 32 -o model.out
  qcompile model.onnx --calibration images.npz --max-drift 1 --sweep front.svg
  qcompile --config model.toml --t-max 32          options from a file, and others
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
    complete(parser)
    given = parser.parse_args(arguments)

    from qcompiler.terminal.console import guarded

    return guarded(lambda given: _checked(parser, given, arguments), given)


def _checked(
    parser: argparse.ArgumentParser, given: argparse.Namespace, arguments: Sequence[str] | None
) -> int:
    _check_inspection(parser, given)
    if given.config is not None:
        from qcompiler.cli.config import with_file

        given = with_file(_parser, given.config, arguments)
    check_data(parser, given)
    if given.model is None and not given.list and given.verify is None:
        parser.error("the following arguments are required: MODEL.onnx")
    if (given.sweep or given.objective != "latency") and not searches(given):
        parser.error("--sweep and --objective need --max-drop or --max-drift")
    if on_cluster(given) and not searches(given):
        parser.error("--workers and --dask run a search: they need --max-drop or --max-drift")

    from .compile_command import run

    return run(given)


def _check_inspection(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse what would be left undone, on the command line: files of options may have more."""
    asked = next((name for name in INSPECTIONS if getattr(given, name)), None)
    files = [option for option, name in WRITTEN.items() if getattr(given, name)]
    if asked and files:
        parser.error(f"--{asked} writes nothing: leave {files[0]} out")
    if given.list:
        check_list(parser, given)
    if given.verify is not None:
        check_verify(parser, given)
    check_shown(parser, given)


def _parser(
    kind: type[argparse.ArgumentParser] = argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    parser = kind(
        prog="qcompile",
        description="Compile a trained ONNX network into a spiking network: one spike per value.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL.onnx", nargs="?", type=Path, help="the trained network")
    add("-o", "--output", metavar="DIR", type=Path, help="program directory (MODEL.TARGET)")
    target = add(
        "--target",
        type=_target,
        default="loihi",
        help="loihi (default), loihi1, reference, brian2, nir, or a plugin's",
    )
    suggest(target, _targets)
    add("--calibration", metavar="DATA", type=Path, help="typical inputs, to measure value ranges")
    config = "options from a TOML file, such as t-max = 32; those of the command line win"
    add("--config", metavar="FILE.toml", type=Path, help=config)
    add_report(parser)
    add_common(parser)
    group = parser.add_argument_group("levels and accuracy")
    add, schedule = group.add_argument, group.add_mutually_exclusive_group()
    levels = "number of spike times per value (16, or the levels of a quantised model)"
    schedule.add_argument("--t-max", metavar="N", type=int, help=levels)
    drop = (
        "search, in place of --t-max: largest loss of accuracy in percentage points; needs labels"
    )
    schedule.add_argument("--max-drop", metavar="P", type=float, help=drop)
    drift = "search, in place of --t-max: largest share of changed predictions in percent"
    schedule.add_argument("--max-drift", metavar="P", type=float, help=drift)
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
    cut = "clip ranges at this percentile of the calibration data (default: least squared error)"
    add("--percentile", metavar="P", type=float, help=cut)
    error = "largest error of fitted functions, relative to their output range (half a level)"
    add("--activation-error", metavar="E", type=float, default=0.0, help=error)
    proofs = "use only limits that are proven from the weights, none from calibration data"
    add("--proved", action="store_true", help=proofs)
    add = parser.add_argument_group("shape and size").add_argument
    axes = "lengths of an input's axes that the model leaves open; a name in place of a length "
    axes += "leaves the batch axis open; repeatable"
    add("--input-shape", metavar="NAME=N,3,..", type=_shape, action="append", default=[], help=axes)
    state = "an output that is an input of the next frame, 0 before the first unless INITIAL; auto "
    state += "finds them by their names; repeatable; DATA then holds sequences of frames"
    add("--state", metavar="OUT:IN[=INITIAL]", type=_state, action="append", default=[], help=state)
    products = "compile products of two data-dependent values, also where they take more than "
    products += "100,000 neurons"
    add("--allow-products", action="store_true", help=products)
    neurons = "most neurons that the network may have (100 million)"
    add("--max-neurons", metavar="N", type=int, help=neurons)
    memory = "most memory in GB that compiling may take, as estimated (that of the machine)"
    add("--max-memory", metavar="GB", type=float, help=memory)
    found = parser.add_argument_group(
        "search on the calibration data for the schedule of lowest latency (--max-drop or -drift)"
    )
    add = found.add_argument
    goal = "what is to be low: latency (default), energy of a frame, or energy-delay product (edp)"
    add("--objective", choices=OBJECTIVES, default="latency", help=goal)
    sweep = "write all measured schedules: a table (.csv, .json) or a plot (.svg); repeatable"
    add("--sweep", metavar="FILE", type=_sweep, action="append", default=[], help=sweep)
    add_data_options(parser, calibration=True)
    add_cluster(parser)
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
    one = seen.add_mutually_exclusive_group()
    how = "show how each node is compiled; exit status 1 if any is refused"
    one.add_argument("--check", action="store_true", help=how)
    emit = "print the tensor graph (ir) or the spiking network (snn); write nothing"
    one.add_argument("--emit", choices=("ir", "snn"), help=emit)
    same = (
        "build a program again from its model and calibration data, and say whether it is the same"
    )
    one.add_argument("--verify", metavar=("DIR", "MODEL"), nargs="+", type=Path, help=same)
    names = "list targets, passes, engines and readers"
    one.add_argument("--list", action="store_true", help=names)
    add("--print-after", metavar="PASS", help="print the graph after this pass, or after all")
    shell = 'print what completes both commands in a shell: eval "$(qcompile --completion bash)"'
    add("--completion", choices=SHELLS, action=PrintCompletion, help=shell)
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


def _state(text: str) -> str:
    from qcompiler.streaming.pairs import parse_state

    try:
        return "auto" if text == "auto" else str(parse_state(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _length(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _target(text: str) -> str:
    """The name of a target; its plugin is loaded later."""
    from qcompiler.ir import CompileError
    from qcompiler.registry import backend_names

    try:
        names = backend_names()
    except CompileError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if text not in names:
        raise argparse.ArgumentTypeError(f"no target is named {text!r}: choose {', '.join(names)}")
    return text


def _sweep(text: str) -> Path:
    if Path(text).suffix not in SWEEPS:
        raise argparse.ArgumentTypeError(f"{text!r} should end in one of {', '.join(SWEEPS)}")
    return Path(text)


def _targets() -> tuple[str, ...]:
    from qcompiler.registry import backend_names

    return backend_names()


if __name__ == "__main__":
    sys.exit(main())
