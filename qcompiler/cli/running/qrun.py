"""`qrun`: run a compiled program on data, and measure it. This is its command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from qcompiler.cli.command_parser import CommandParser
from qcompiler.cli.completion import complete, suggest
from qcompiler.cli.idle_options import check_info
from qcompiler.cli.options import (
    add_cluster,
    add_common,
    add_data_options,
    add_report,
    on_cluster,
    page_file,
    path_of,
    positive,
)

# The help loads none of them.
ENGINES = ("fast", "steps", "events", "lava", "lava-single", "lava-processes", "brian2")

_EPILOG = """\
examples:
  qrun model.loihi test.npz --against model.onnx
  qrun model.loihi test.npz --engine steps --limit 200 --json
  qrun model.loihi sequences.npz --stream            states go from frame to frame
  qrun model.loihi test.npz -o outputs.npz          decoded outputs, in real units
  qrun model.loihi test.npz --workers 8             run on eight processes
  qrun model.loihi --info                           what the program is
  qrun model.loihi test.npz --against model.onnx --explain --page why.html

In JSON, accuracies and agreement are fractions from 0 to 1. Step 0 is the first step of a frame's
input. Exit status: 0 success, 1 error, 2 wrong usage.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    complete(parser)
    given = parser.parse_intermixed_args(arguments)
    if given.info:
        check_info(parser, given)
    given.explain = given.explain or given.page is not None
    if given.explain and given.against is None:
        parser.error("--explain needs a model to compare with: --against MODEL.onnx")
    if given.data is None and not given.info:
        parser.error("the following arguments are required: DATA")
    if given.frame is not None and given.report is None:
        parser.error("--frame needs --report")
    if given.stream and on_cluster(given):
        parser.error("--stream runs in one process: leave --workers and --dask out")

    from qcompiler.terminal.console import guarded

    return guarded(_run, given)


def _run(given: argparse.Namespace) -> int:
    from .run_command import run

    return run(given)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="qrun",
        description="Run a compiled program; measure accuracy, spikes, latency and energy.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("program", metavar="DIR", type=path_of, help="the compiled program")
    images = ".npz, .npy, a folder of images, an archive or a table (docs/howto/data.md)"
    add("data", metavar="DATA", nargs="?", type=path_of, help=images)
    engine = add(
        "--engine",
        metavar="NAME",
        type=_engine,
        default="fast",
        help="fast (default), steps, lava, or another engine from `qcompile --list`",
    )
    suggest(engine, _engines)
    sequences = "DATA holds sequences of frames in order; states go from each frame to the next"
    add("--stream", action="store_true", help=sequences)
    add("--limit", metavar="N", type=positive, help="run only the first N frames")
    add("-o", "--output", metavar="OUT.npz", type=path_of, help="write the decoded outputs")
    bars = "write a plot of the energy by population and cause"
    add("--plot", metavar="ENERGY.svg", type=_svg, help=bars)
    add_report(parser)
    add("--frame", metavar="N", type=_frame, help="the frame of the report's spike raster (0)")
    what = "tell what the program is, without data: inputs, outputs, populations, versions"
    add("--info", action="store_true", help=what)
    add_common(parser)
    add_data_options(parser)
    add_cluster(parser)
    add = parser.add_argument_group("comparison with the trained network").add_argument
    add("--against", metavar="MODEL.onnx", type=path_of, help="compare with this ONNX model")
    why = "with --against: find the layer and the cause of differing predictions"
    add("--explain", action="store_true", help=why)
    plots = "as --explain, and write an HTML page with plots of every layer"
    add("--page", metavar="PAGE.html", type=page_file, help=plots)
    return parser


def _engines(tell: Callable[[str], None] = lambda sentence: None) -> tuple[str, ...]:
    """The names of all engines; of a broken plugin only ``tell`` hears."""
    from qcompiler import registry
    from qcompiler.plugins import working

    targets = working(registry.find_backend, registry.backend_names(), tell)
    return tuple(engine.name for engine in registry.engines(targets.values()))


def _engine(text: str) -> str:
    """The name of an engine; plugins are loaded only for a name that is not built in.

    Where one is broken, the program tells whether its target has such an engine.
    """
    if text in ENGINES:
        return text

    from qcompiler.ir import CompileError

    broken: list[str] = []
    try:
        names = _engines(broken.append)
    except CompileError:
        return text
    if text not in names and not broken:
        raise argparse.ArgumentTypeError(f"no engine is named {text!r}: choose {', '.join(names)}")
    return text


def _frame(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected the number of a frame, from 0 on, not {text!r}")
    return int(text)


def _svg(text: str) -> Path:
    if Path(text).suffix != ".svg":
        raise argparse.ArgumentTypeError(f"{text!r} should end in .svg")
    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
