"""Options that would do nothing beside others that were given: refused by name, never ignored."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable

_OF_DATA = ("labels", "label_column", "split", "resize", "crop", "skip_bad", "calibration_frames")
_LOUDNESS = {"json", "verbose", "quiet"}
_SEARCH = {"max_drop", "max_drift", "objective", "workers", "dask"}
_WHAT = {"list": "prints what there is", "info": "runs nothing", "verify": "asks the program"}


def check_list(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Leave the command if anything is given besides ``--list``."""
    _only(parser, given, "list", {"list", *_LOUDNESS})


def check_info(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Leave the command if anything is given that ``--info`` does not use."""
    _only(parser, given, "info", {"program", "info", "energy_model", *_LOUDNESS})


def check_verify(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Leave the command if anything is given that the program says, or that prints more."""
    used = {*_OF_DATA, "passes", "max_neurons", "max_memory", "config", "verify", *_LOUDNESS}
    _only(parser, given, "verify", used)
    if len(given.verify) > 3:
        parser.error("--verify takes DIR, MODEL.onnx and the calibration data")


def check_shown(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Leave the command if ``--check`` or ``--emit`` is given with what would not be done."""
    if given.check:
        _refuse(
            parser, given, {"print_after", "energy_model", *_SEARCH}, "--check compiles nothing"
        )
    if given.emit:
        _refuse(parser, given, {"energy_model"}, "--emit prints no energy")


def check_data(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Leave the command if it is told how to read data, and is given none."""
    told = "--calibration" if given.verify is None else "--verify DIR MODEL.onnx DATA"
    if given.calibration is None and len(given.verify or ()) < 3 and not given.list:
        _refuse(parser, given, _OF_DATA, f"there are no data to read ({told})")


def _only(
    parser: argparse.ArgumentParser, given: argparse.Namespace, mode: str, used: Collection[str]
) -> None:
    others = {*vars(given)} - {*used}
    _refuse(parser, given, others, f"--{mode} {_WHAT[mode]}")


def _refuse(
    parser: argparse.ArgumentParser, given: argparse.Namespace, idle: Iterable[str], why: str
) -> None:
    """Leave the command with the options among ``idle`` that were given, if there are any."""
    names = {*idle}
    found = [
        action.option_strings[-1] if action.option_strings else str(action.metavar)
        for action in parser._actions
        if action.dest in names and getattr(given, action.dest, None) != action.default
    ]
    if found:
        parser.error(f"{why}: leave {', '.join(found)} out")
