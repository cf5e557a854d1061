"""Options that both commands have, and types of options. Loads nothing that compiles or runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import qcompiler

if TYPE_CHECKING:
    from qcompiler.backends.energy.cost_model import CostModel

_MOST_PROCESSES = 1024  # more than that exhaust any one machine
ENERGY_MODELS = ("loihi1", "loihi1-fit", "sana-fe", "cmos45")  # as listed by the help


def add_energy_model(parser: argparse.ArgumentParser) -> None:
    """Add --energy-model."""
    parser.add_argument(
        "--energy-model",
        metavar="NAME|FILE",
        type=_energy_model,
        help=f"cost model of the energy report: {', '.join(ENERGY_MODELS)}, or a .json file "
        "(default: the target's)",
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add --energy-model, --json, -v, -q and --version."""
    add_energy_model(parser)
    add = parser.add_argument
    add("--json", action="store_true", help="print one JSON object to stdout")
    loudness = parser.add_mutually_exclusive_group()
    details = "print more details; show tracebacks"
    loudness.add_argument("-v", "--verbose", action="store_true", help=details)
    loudness.add_argument("-q", "--quiet", action="store_true", help="print results only")
    version = f"%(prog)s {qcompiler.__version__}"
    add("--version", action="version", version=version)


def _energy_model(text: str) -> CostModel | Path:
    """A built-in model, or the path of one that is read later."""
    from qcompiler.backends.energy.built_in_models import MODELS

    if text.endswith(".json") or Path(text).name != text:
        return Path(text)
    if text not in MODELS:
        known = ", ".join(MODELS)
        message = f"no energy model is named {text!r}: choose {known}, or a .json file"
        raise argparse.ArgumentTypeError(message)
    return MODELS[text]


def path_of(text: str) -> Path:
    """A path, which may not be empty: that would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, not an empty text")
    return Path(text)


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add --report."""
    what = "write a report with pictures: one HTML page that needs nothing else"
    parser.add_argument("--report", metavar="FILE.html", type=page_file, help=what)


def page_file(text: str) -> Path:
    """The path of an HTML page."""
    if Path(text).suffix not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(f"{text!r} should end in .html")
    return Path(text)


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add --workers and --dask, which exclude each other."""
    cluster = parser.add_argument_group("more than one process or machine, with the extra dask")
    where = cluster.add_mutually_exclusive_group()
    where.add_argument("--workers", metavar="N", type=_processes, help="run on N processes")
    scheduler = "run on the Dask cluster of this scheduler, such as tcp://host:8786; trust it"
    where.add_argument("--dask", metavar="ADDRESS", help=scheduler)


def _processes(text: str) -> int:
    """A number of processes of one machine."""
    if (found := positive(text)) > _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"at most {_MOST_PROCESSES:,} processes, not {text}")
    return found


def on_cluster(given: argparse.Namespace) -> bool:
    """Whether a cluster is to do the work."""
    return given.workers is not None or given.dask is not None


def positive(text: str) -> int:
    """A number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, not {text!r}")
    return int(text)


def searches(given: argparse.Namespace) -> bool:
    """Whether a search finds the schedule."""
    return given.max_drop is not None or given.max_drift is not None


def add_data_options(parser: argparse.ArgumentParser, calibration: bool = False) -> None:
    """Add the options that say how data are read; for calibration, also how many of them."""
    add = parser.add_argument_group("how DATA is read").add_argument
    file = "labels, in place of those in DATA: .npy, .npz, or text with a line per frame or image"
    add("--labels", metavar="FILE", type=path_of, help=file)
    column = "column of a table that holds the labels (label, labels, target, class or y)"
    add("--label-column", metavar="NAME", help=column)
    part = "part of a set that has several: train or test"
    add("--split", metavar="NAME", help=part)
    size = "length of the shorter side of images, or height and width; bilinear, antialiased"
    add("--resize", metavar="N|H,W", type=_lengths, help=size)
    middle = "take the middle of images: a square, or height and width"
    add("--crop", metavar="N|H,W", type=_lengths, help=middle)
    add("--skip-bad", action="store_true", help="leave frames out that cannot be read; count them")
    if calibration:
        part = "calibrate on this many frames, evenly spread (as many as take 512 MB, at most "
        part += "200,000)"
        add("--calibration-frames", metavar="N", type=positive, help=part)


def _lengths(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected pixels such as 256 or 224,224, not {text!r}")
    return tuple(map(int, parts))
