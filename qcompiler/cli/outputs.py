"""Files that the commands write: checked before the work, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qcompiler.ir import ProgramError
from qcompiler.ir.files import resolved, short_name


def check_file(path: Path | None, option: str) -> None:
    """ProgramError if no file can be written there."""
    if path is None:
        return
    try:
        place = resolved(path)
        folder, other = place.parent, place.exists() and not place.is_file()
        if not folder.is_dir():
            raise ProgramError(f"there is no folder {path.parent} for {option}")
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null character
        raise ProgramError(f"{path} cannot be written: choose another {option}") from error
    if other:
        raise ProgramError(f"{path} is not a regular file: choose another {option}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ProgramError(f"{path} cannot be written: {folder} is not writable")


def check_places(
    written: Sequence[tuple[str, Path | None]], read: Mapping[str, Path | None], program: Path
) -> None:
    """ProgramError if the file of an option is no place for one, or holds what is read or written.

    ``read`` are files and folders by what they are; nothing else goes into a program's folder.
    """
    places: dict[Path, str] = {}
    for option, path in written:
        check_file(path, option)
        if path is None:
            continue
        place = resolved(path)
        if place in places:
            twice = "twice" if places[place] == option else f"for {places[place]}, too"
            raise ProgramError(f"{path} is given {twice}: choose another {option}")
        places[place] = option
        for what, source in read.items():
            if source is not None and source.exists() and _holds(source, place):
                raise ProgramError(f"{path} holds {what}: choose another {option}")
        if place.is_relative_to(program.resolve()):
            raise ProgramError(f"{path} is in the program directory: choose another {option}")


def _holds(source: Path, place: Path) -> bool:
    """Whether a place is a file that is read, or lies in a folder that is."""
    if source.is_dir():
        return place.is_relative_to(source.resolve()) and place.exists()
    return place.exists() and place.samefile(source)


def write_file(path: Path, option: str, save: Callable[[Path], None]) -> None:
    """Let ``save`` write a file beside ``path``, and put it in place when it is whole."""
    check_file(path, option)
    place = path.resolve()
    staged = place.with_name(f".{short_name(place.name)}.part")
    try:
        save(staged)
        staged.replace(place)
    except OSError as error:
        raise ProgramError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        staged.unlink(missing_ok=True)


def write_text(path: Path, option: str, text: str) -> None:
    """Write a text file as a whole."""
    write_file(path, option, lambda staged: _put(staged, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
