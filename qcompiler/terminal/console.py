"""What both commands share: errors without tracebacks, progress, tables."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from qcompiler.ir import CompileError
from qcompiler.ir.diagnostics import kind_and_text, printable

from .interrupts import is_interrupt

_GAP = 2  # between columns
_WRONG_USAGE = 2  # argparse's exit status
_LONGEST = 2000  # letters of a line of a message: names may be of any length


class _Screen(Console):
    """A console that shows control characters of names, and does not obey them."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; see `Console.print`."""
        shown = (printable(one) if isinstance(one, str) else one for one in objects)
        super().print(*shown, **options)

    def on_broken_pipe(self) -> None:
        """Leave a reader that ended to `guarded`, in place of a SystemExit."""
        raise  # the BrokenPipeError that is being handled


def guarded(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command; turn every exception into one message and exit status 1.

    Only wrong usage leaves as it is, as the SystemExit of the command line's parser.
    ``-v`` shows the traceback behind the message.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return command(arguments)
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code == _WRONG_USAGE:
            raise
        return failed(error, arguments.verbose)


def failed(error: BaseException, verbose: bool = False) -> int:
    """Tell an exception in one message, a reader that ended in none; returns the exit status 1."""
    if not isinstance(error, BrokenPipeError):
        if verbose:
            say("".join(traceback.format_exception(error)).rstrip())
        fail(_message(error))
    try:
        print(end="", flush=True)
    except OSError:  # which Python would tell again at its exit
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return 1


def _message(error: BaseException) -> str:
    match error:
        case CompileError():
            return str(error)
        case _ if is_interrupt(error):
            return "error: interrupted; nothing was written"
        case MemoryError():
            return "error: out of memory\n   = help: use a smaller model, or fewer images"
        case OSError():
            return f"error: {error.filename or 'output'}: {error.strerror or error}"
        case _:
            return (
                f"error: {kind_and_text(error)}\n"
                "   = help: this is a bug in qcompiler: run with -v and report the output"
            )


def screen(err: bool = False) -> Console:
    """A console with colour on terminals only, wide enough for tables elsewhere."""
    console = _Screen(stderr=err, highlight=False, soft_wrap=False)
    return console if console.is_terminal else _Screen(stderr=err, width=400, highlight=False)


def fail(message: str) -> None:
    """Print an error message."""
    text = Text(_bounded(message))
    text.highlight_regex(r"^error:", "bold red")
    text.highlight_regex(r"= help:", "cyan")
    screen(err=True).print(text, soft_wrap=True)


def _bounded(message: str) -> str:
    """A message whose lines fit on a screen: of long ones the middle is left out."""
    return "\n".join(map(_shortened, printable(message).split("\n")))


def _shortened(line: str) -> str:
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]}…{line[-half:]}"


def say(message: str) -> None:
    """Print what is going on, beside the results."""
    screen(err=True).print(message, markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Print a warning."""
    text = Text(_bounded(f"warning: {message}"))
    text.highlight_regex(r"^warning:", "bold yellow")
    text.highlight_regex(r"= help:", "cyan")
    screen(err=True).print(text, soft_wrap=True)


@contextmanager
def progress(what: str, quiet: bool, known: bool = True) -> Iterator[Callable[[float], None]]:
    """A progress bar on a terminal; the function it gives takes the share that is done.

    Where this is not ``known`` the bar only shows that work goes on.
    """
    console = Console(stderr=True)
    share = (TaskProgressColumn(),) if known else ()
    left = (TextColumn("left:"), TimeRemainingColumn()) if known else ()
    columns = (TextColumn(what), BarColumn(), *share, TimeElapsedColumn(), *left)
    off = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        task = bar.add_task(what, total=1.0 if known else None)
        yield lambda share: bar.update(task, completed=share) if known else None


def print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a plain table; numbers stand to the right.

    On a narrow terminal it is printed in parts, each with the first column.
    """
    if console.is_terminal:
        for number, part in enumerate(_parts(console.width, columns, rows)):
            if number:
                console.print()
            chosen = [[row[n] for n in part] for row in rows]
            console.print(_table([columns[n] for n in part], chosen))
        return
    with console.capture() as captured:
        console.print(_table(columns, rows))
    lines = captured.get().splitlines()
    console.print(Text("\n".join(map(str.rstrip, lines))), soft_wrap=True)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    found = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        found.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        found.add_row(*(Text(_cell(value)) for value in row))
    return found


def _parts(
    width: int, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[Sequence[int]]:
    """Numbers of the columns that fit beside each other, always with the first."""
    first, *others = (
        max(cell_len(name), *(cell_len(_cell(row[index])) for row in rows), 0) + _GAP
        for index, name in enumerate(columns)
    )
    part, used = [0], min(first, width // 2)
    for index, size in enumerate(others, start=1):
        if used + size > width + _GAP and len(part) > 1:
            yield part
            part, used = [0], min(first, width // 2)
        part.append(index)
        used += size
    yield part


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else _shortened(printable(str(value), keep=""))
