"""Data as the options of both commands say."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcompiler.data import DataSet


def data_set(path: Path, given: argparse.Namespace, frames: int | None = None) -> DataSet:
    """A path with the options that were given; of its frames this many."""
    how = given.label_column, given.split, given.resize, given.crop, given.skip_bad
    return DataSet(path, given.labels, *how, frames)


def calibration(given: argparse.Namespace) -> DataSet | None:
    """The calibration data that were given, or None."""
    path = given.calibration
    return None if path is None else data_set(path, given, given.calibration_frames)
