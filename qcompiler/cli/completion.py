"""Completion of the commands' options in shells, with argcomplete."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

SHELLS = ("bash", "zsh", "fish")
_COMMANDS = ["qcompile", "qrun"]
_MISSING = "error: completion needs argcomplete: pip install 'qcompiler-snn[completion]'\n"


class PrintCompletion(argparse.Action):
    """Print what makes a shell complete both commands, and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            from argcomplete.shell_integration import shellcode
        except ImportError:
            parser.exit(1, _MISSING)
        print(shellcode(_COMMANDS, shell=values))
        parser.exit()


def suggest(action: argparse.Action, names: Callable[[], Sequence[str]]) -> None:
    """Let a shell complete the values of an option from these names."""
    action.completer = lambda **_: names()  # type: ignore[attr-defined]


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and exit; else do nothing."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        from argcomplete import autocomplete
    except ImportError:
        sys.exit(1)
    autocomplete(parser)
