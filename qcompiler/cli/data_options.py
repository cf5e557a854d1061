"""Options of both commands that say how data are read."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcompiler.console import warn
from qcompiler.data import DataSet, Stream, skipped_text


def add_data_options(parser: argparse.ArgumentParser, calibration: bool = False) -> None:
    """Add the options that say how data are read; for calibration, also how many of them."""
    add = parser.add_argument_group("how DATA is read").add_argument
    file = "labels, in place of those in DATA: .npy, .npz, or text with a line per frame or image"
    add("--labels", metavar="FILE", type=Path, help=file)
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
        part = "calibrate on this many frames, evenly spread (as many as take 512 MB)"
        add("--calibration-frames", metavar="N", type=positive, help=part)


def data_set(path: Path, given: argparse.Namespace, frames: int | None = None) -> DataSet:
    """A path with the options that were given; of its frames this many."""
    how = given.label_column, given.split, given.resize, given.crop, given.skip_bad
    return DataSet(path, given.labels, *how, frames)


def calibration(given: argparse.Namespace) -> DataSet | None:
    """The calibration data that were given, or None."""
    path = given.calibration
    return None if path is None else data_set(path, given, given.calibration_frames)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, not {text!r}")
    return int(text)


def warn_of_skipped(stream: Stream) -> None:
    """Tell how many frames were left out, if any."""
    if stream.skipped:
        warn(skipped_text(stream.skipped))


def _lengths(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected pixels such as 256 or 224,224, not {text!r}")
    return tuple(map(int, parts))
