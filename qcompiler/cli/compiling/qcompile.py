"""`qcompile`: from an ONNX file to a compiled program. This is its command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from qcompiler.cli.completion import complete
from qcompiler.cli.idle_options import check_data, check_list, check_shown, check_verify
from qcompiler.cli.options import on_cluster, searches

from .parser import parser_of

INSPECTIONS = ("check", "emit", "verify", "list")  # in place of a program; exclude each other
WRITTEN = {"-o": "output", "--report": "report", "--sweep": "sweep"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = parser_of()
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

        given = with_file(parser_of, given.config, arguments)
    check_data(parser, given)
    if given.model is None and not given.list and given.verify is None:
        parser.error("the following arguments are required: MODEL.onnx")
    for option, pairs in ("shape", given.input_shape), ("value", given.input_value):
        named = [name for name, _ in pairs]
        if twice := next((name for name in named if named.count(name) > 1), None):
            parser.error(f"argument --input-{option}: {twice} is given twice: leave one out")
    if given.sweep and not searches(given):
        parser.error("--sweep needs --max-drop or --max-drift")
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


if __name__ == "__main__":
    sys.exit(main())
