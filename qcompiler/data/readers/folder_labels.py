"""Labels of the images in a folder: from the names of class folders, or from a file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from qcompiler.data.frames.held import Array
from qcompiler.data.frames.labels import labels_of, lines_of
from qcompiler.data.frames.words import is_whole
from qcompiler.ir import DataError


class FolderLabels:
    """The labels of files below a folder, which has these class folders or none.

    ``told`` is what a user should know of how they are found.
    """

    def __init__(self, root: Path, files: list[str], folders: list[str]) -> None:
        self._root, self._files, self._folders = root, files, folders
        self.told: tuple[str, ...] = ()

    def found(self, given: Any) -> Array | None:
        """One label per file, from a file or array of labels if one is given; else DataError.

        Without, classes are the class folders in order of their names; names that are whole
        numbers are the labels themselves. A text file has a line per
        image: its name and its class, a number or a name, which are numbered in order; or the
        number alone. For class folders it may also have a line per class, which begins with the
        folder's name: then classes are numbered as the lines are.
        """
        if given is None:
            return self._by_name() if self._folders else None
        if not isinstance(given, str | Path) or Path(given).suffix in (".npy", ".npz"):
            return labels_of(given, len(self._files))
        path = Path(given)
        rows = [_words(line) for line in lines_of(path)]
        if all(len(row) == 1 and is_whole(row[0]) for row in rows):
            return labels_of(np.array([int(row[0]) for row in rows], np.int64), len(self._files))
        if self._folders and {row[0] for row in rows} >= {*self._folders}:
            return self._by_folder({row[0]: index for index, row in enumerate(rows)})
        return self._by_file(rows, path)

    def _by_name(self) -> Array:
        places = {name: index for index, name in enumerate(self._folders)}
        if not all(map(is_whole, self._folders)):
            return self._by_folder(places)
        number = {name: int(name) for name in self._folders}
        if len({*number.values()}) < len(number):
            raise DataError(f"{self._root} has class folders that are the same whole number")
        if number != places:
            some = ", ".join(map(str, sorted(number.values())[:12]))
            self.told = (
                f"the class folders of {self._root} are named by whole numbers, which are taken "
                f"for the labels: {some}{', ..' if len(number) > 12 else ''}; --labels with a file "
                "of a line per folder numbers them as its lines are",
            )
        return self._by_folder(number)

    def _by_folder(self, number: dict[str, int]) -> Array:
        return np.array([number[name.partition("/")[0]] for name in self._files], np.int64)

    def _by_file(self, rows: list[list[str]], path: Path) -> Array:
        known = _by_key([row for row in rows if len(row) > 1], path)
        shared = Counter(map(_stem, self._files))
        found = [known.get(_key(name), known.get(_stem(name))) for name in self._files]
        if missing := [name for name, one in zip(self._files, found, strict=True) if one is None]:
            raise DataError(
                f"{path} has no label for {len(missing)} of {len(self._files)} images, such as "
                f"{missing[0]}"
            )
        for name in self._files:
            if _key(name) not in known and shared[_stem(name)] > 1:
                raise DataError(
                    f"{path} names {_stem(name)}, which {shared[_stem(name)]} images are called: "
                    f"write their folders, too, such as {name}"
                )
        given = [one for one in found if one is not None]
        if all(map(is_whole, given)):
            return np.array([*map(int, given)], np.int64)
        header = rows[0] if _stem(rows[0][0]) not in {*map(_stem, self._files)} else None
        classes = sorted({row[1] for row in rows if row is not header and len(row) > 1})
        return np.array([classes.index(name) for name in given], np.int64)


def _words(line: str) -> list[str]:
    """The first words of the cells of a line; a cell of a box is ``n01440764 10 20 30 40``."""
    cells = next(csv.reader([line])) if "," in line else line.split()
    return [cell.split()[0] if cell.split() else "" for cell in cells]


def _by_key(rows: list[list[str]], path: Path) -> dict[str, str]:
    """Classes by path without ending, and by name alone where only one class has that name."""
    known: dict[str, str] = {}
    alone: dict[str, set[str]] = {}
    for name, label in (row[:2] for row in rows):
        if known.setdefault(_key(name), label) != label:
            raise DataError(f"{path} gives {name} two classes, {known[_key(name)]} and {label}")
        alone.setdefault(_stem(name), set()).add(label)
    return {stem: min(labels) for stem, labels in alone.items() if len(labels) == 1} | known


def _key(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).with_suffix("").as_posix()


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem
