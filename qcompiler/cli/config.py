"""Options of a command from a TOML file (`--config`): names and values only, never code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from qcompiler.cli.command_parser import CommandParser
from qcompiler.ir import DataError
from qcompiler.ir.files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST_BYTES = 1 << 20
_LARGEST = 1 << 63
_NOT_FROM_FILES = {"config", "completion"}


class _Parser(CommandParser):
    """A parser that raises DataError in place of leaving the program."""

    def error(self, message: str) -> NoReturn:
        raise DataError(message)


def with_file(
    make: Callable[[type[argparse.ArgumentParser]], argparse.ArgumentParser],
    path: Path,
    arguments: Sequence[str] | None,
) -> argparse.Namespace:
    """Options of the command line; where it has none, those of the file; else the defaults.

    ``make`` makes the command's parser. Paths in the file are relative to its folder. Raises
    DataError, which names the file, for options that are unknown or have no such value.
    """
    given = _given(make(_Parser), arguments)
    try:
        line = list(_as_arguments(make(_Parser), _read(path)))
        read = _given(make(_Parser), line)
    except DataError as error:
        raise DataError(*(f"{path}: {one.message}" for one in error.diagnostics)) from error
    decided = {*given}
    for group in make(_Parser)._mutually_exclusive_groups:
        names = {action.dest for action in group._group_actions}
        decided |= names if names & {*given} else set()
    found = make(_Parser).parse_args([])
    for name, value in read.items():
        if name not in decided:
            setattr(found, name, _placed(value, path.parent))
    for name, value in given.items():
        setattr(found, name, value)
    return found


def _given(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> Mapping[str, Any]:
    """What these arguments set, without defaults."""
    for action in parser._actions:
        action.default = action.default if action.default == argparse.SUPPRESS else None
    found = vars(parser.parse_args(arguments))
    return {name: value for name, value in found.items() if value is not None}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, _MOST_BYTES))
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"this is no TOML file: {error}") from error


def _as_arguments(parser: argparse.ArgumentParser, read: Mapping[str, Any]) -> Iterator[str]:
    options = dict(_settable(parser))
    place: list[str] = []
    spellings: dict[str, str] = {}
    for key, value in read.items():
        name = key.replace("_", "-")
        if (other := spellings.setdefault(name, key)) != key:
            raise DataError(f"{other} and {key} are one option: give it once")
        if name not in options:
            raise DataError(_unknown(name, options))
        action = options[name]
        if name == "dask" or (name == "passes" and ":" in str(value)):
            raise DataError(f"{name} = {value!r:.60} may run code: give it on the command line")
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise DataError(f"{name} is true or false, not a {type(value).__name__}")
            if value:
                yield f"--{name}"
        elif not action.option_strings:
            place = ["--", _values(name, value, action)]
        elif isinstance(value, dict):
            yield from (
                f"--{name}={one}={_values(name, axes, action)}" for one, axes in value.items()
            )
        elif isinstance(action.default, list) and isinstance(value, list):
            yield from (f"--{name}={_text(name, one)}" for one in value)
        else:
            yield f"--{name}={_values(name, value, action)}"
    yield from place


def _settable(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The options that a file may set, by name."""
    for action in parser._actions:
        fits = action.nargs in (None, 0, argparse.OPTIONAL)
        if fits and action.dest not in _NOT_FROM_FILES and action.default != argparse.SUPPRESS:
            yield max((action.dest, *action.option_strings), key=len).lstrip("-"), action


def _unknown(name: str, options: Mapping[str, Any]) -> str:
    near = get_close_matches(name, options)
    hint = f"did you mean {' or '.join(near)}?" if near else "see qcompile --help"
    return f"no option is named {name!r:.60}: {hint}"


def _values(name: str, value: Any, action: argparse.Action) -> str:
    """A value of an option as the command line has it, or several with commas, if it takes them."""
    if isinstance(value, list) and "," in str(action.metavar):
        return ",".join(_text(name, one) for one in value)
    return _text(name, value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise DataError(f"{name} takes no value such as {value!r:.60}")
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise DataError(f"{name} is beyond all sense")
    return str(value)


def _placed(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_placed(one, folder) for one in value]
    return folder / value if isinstance(value, Path) else value
