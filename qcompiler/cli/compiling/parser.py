"""What `qcompile` takes: its options, their groups and their help."""

from __future__ import annotations

import argparse

from qcompiler.cli.command_parser import CommandParser
from qcompiler.cli.completion import SHELLS, PrintCompletion, suggest
from qcompiler.cli.options import add_cluster, add_common, add_data_options, add_report, path_of

from .argument_types import (
    axes_of,
    numbers_of,
    pair_of,
    sweep_file,
    target_name,
    target_names,
    value_of,
)

# The help loads nothing that compiles, so these stand here as well.
CODES = ("one-spike", "silent", "burst")
OBJECTIVES = ("latency", "energy", "edp")

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


def parser_of(
    kind: type[argparse.ArgumentParser] = CommandParser,
) -> argparse.ArgumentParser:
    """The parser, of a kind; nothing that compiles is loaded for it."""
    parser = kind(
        prog="qcompile",
        description="Compile a trained ONNX network into a spiking network: one spike per value.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL.onnx", nargs="?", type=path_of, help="the trained network")
    add("-o", "--output", metavar="DIR", type=path_of, help="program directory (MODEL.TARGET)")
    target = add(
        "--target",
        type=target_name,
        default="loihi",
        help="loihi (default), loihi1, reference, brian2, nir, or a plugin's",
    )
    suggest(target, target_names)
    add(
        "--calibration",
        metavar="DATA",
        type=path_of,
        help="typical inputs, to measure value ranges",
    )
    config = "options from a TOML file, such as t-max = 32; those of the command line win"
    add("--config", metavar="FILE.toml", type=path_of, help=config)
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
    add(
        "--input-shape",
        metavar="NAME=N,3,..",
        type=axes_of,
        action="append",
        default=[],
        help=axes,
    )
    value = "makes an input a constant that holds this number, such as a setting; repeatable"
    add(
        "--input-value",
        metavar="NAME=X",
        type=value_of,
        action="append",
        default=[],
        help=value,
    )
    state = "an output that is an input of the next frame, 0 before the first unless INITIAL; auto "
    state += "finds them by their names; repeatable; DATA then holds sequences of frames"
    add(
        "--state",
        metavar="OUT:IN[=INITIAL]",
        type=pair_of,
        action="append",
        default=[],
        help=state,
    )
    products = "compile products of two data-dependent values, also where they take more than "
    products += "100,000 neurons, and more than the rest of the network"
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
    add("--sweep", metavar="FILE", type=sweep_file, action="append", default=[], help=sweep)
    add_data_options(parser, calibration=True)
    add_cluster(parser)
    what = parser.add_argument_group(
        "preprocessing that becomes part of the network: (x - mean) / scale"
    )
    add = what.add_argument
    add("--layout", choices=("nhwc", "nchw"), help="the model's input layout")
    each = "one number, or one per channel"
    add("--mean-values", metavar="a,b,c", type=numbers_of, default=(), help=each)
    add("--scale-values", metavar="a,b,c", type=numbers_of, default=(), help=each)
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
    one.add_argument("--verify", metavar=("DIR", "MODEL"), nargs="+", type=path_of, help=same)
    names = "list targets, passes, engines and readers"
    one.add_argument("--list", action="store_true", help=names)
    add("--print-after", metavar="PASS", help="print the graph after this pass, or after all")
    shell = 'print what completes both commands in a shell: eval "$(qcompile --completion bash)"'
    add("--completion", choices=SHELLS, action=PrintCompletion, help=shell)
    return parser
