"""The parser of a command line. Loads nothing that compiles or runs."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn


class CommandParser(argparse.ArgumentParser):
    """A parser whose messages show control characters of arguments, and do not obey them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._negative_number_matcher = re.compile(r"-\.?\d")  # also -1,2,3, which is no option

    def error(self, message: str) -> NoReturn:
        """Print the message and end the process with the exit status 2."""
        from qcompiler.ir.diagnostics import printable

        super().error(printable(message))
