"""The parser of a command line. Loads nothing that compiles or runs."""

from __future__ import annotations

import argparse
from typing import NoReturn


class CommandParser(argparse.ArgumentParser):
    """A parser whose messages show control characters of arguments, and do not obey them."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end the process with the exit status 2."""
        from qcompiler.ir.diagnostics import printable

        super().error(printable(message))
