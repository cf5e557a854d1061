"""The parser of a command line. Loads nothing that compiles or runs."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, NoReturn


class CommandParser(argparse.ArgumentParser):
    """A parser of one command line, on which an option stands once, unless it is repeatable.

    Its messages show control characters of arguments, and do not obey them.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Also -1,2,3 and -inf, which are no options.
        self._negative_number_matcher = re.compile(r"-(\.?\d|(inf|infinity|nan)\b)", re.I)
        self._given: set[argparse.Action] = set()

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """The value of an option or a place; flags may repeat, as nothing of them is lost."""
        once = action.option_strings and not isinstance(action, argparse._AppendAction)
        if once and action.nargs != 0 and action in self._given:
            raise argparse.ArgumentError(action, "given twice: leave one out")
        self._given.add(action)
        return super()._get_values(action, arg_strings)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print; newer argparse hides that something cannot be written."""
        print(message, end="", file=file or sys.stderr)

    def error(self, message: str) -> NoReturn:
        """Print the message and end the process with the exit status 2."""
        from qcompiler.ir.diagnostics import printable

        super().error(printable(message))
