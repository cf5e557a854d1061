"""Reader of folders of images, and of folders with a folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qcompiler.data.frames.arrange import takes
from qcompiler.data.frames.held import Array
from qcompiler.data.frames.opening import open_data
from qcompiler.data.frames.source import Indexed, Reader, Source, Wanted
from qcompiler.ir import DataError
from qcompiler.ir.files import resolved

from .folder_labels import FolderLabels
from .images import SUFFIXES, Decoder


class ImageFolder(Indexed):
    """Images by their paths in a folder, decoded when they are read."""

    def __init__(self, root: Path, files: list[str], labels: Array | None, wanted: Wanted) -> None:
        super().__init__()
        self._root, self._files, self.labels = root, files, labels
        self._inside = root.resolve()
        self._skip = wanted.options.skip_bad
        self._decode = Decoder(wanted, root)
        ((self._input, self._shape),), self._layout = wanted.inputs, wanted.layout
        self._first: tuple[str, tuple[int, ...]] | None = None

    def __len__(self) -> int:
        return len(self._files)

    def read(self, places: Array) -> tuple[tuple[Array, ...], Array]:
        images, kept = [], []
        for place in places.tolist():
            name = self._files[place]
            try:
                images.append(self._image(name))
                kept.append(place)
            except DataError:
                if not self._skip:
                    raise
                self.skipped.add(name)
        return (np.stack(images) if images else np.empty(0),), np.array(kept, np.int64)

    def _image(self, name: str) -> Array:
        path = self._root / name
        try:
            inside = resolved(path).is_relative_to(self._inside)
        except (OSError, RuntimeError) as error:  # a loop
            raise DataError(f"{path} is a link that leads nowhere") from error
        if not inside:
            raise DataError(f"{path} is a link to a file outside of {self._root}")
        with open_data(path) as file:
            image = self._decode(file, str(path))
        self._check_size(path, name, image.shape)
        return image

    def _check_size(self, path: Path, name: str, shape: tuple[int, ...]) -> None:
        """DataError for an image that the network does not take, or of another form than others.

        A network with one axis takes images of any form that has as many pixels.
        """
        fits = takes(self._shape, shape, self._layout)
        if fits and self._first is None:
            self._first = name, shape
        if fits and self._first is not None and self._first[1] == shape:
            return
        wanted = f'but input "{self._input}" expects {self._shape}'
        if fits and self._first is not None:
            other, known = self._first
            wanted = f"but {other} has {known[1]} x {known[0]}"
        raise DataError(
            f"{path} has {shape[1]} x {shape[0]} pixels, {wanted}: give --resize and --crop"
        )


def _open(path: Path, wanted: Wanted) -> Source:
    try:
        folders = _class_folders(path)
        files = _images_in(path, folders)
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror}") from error
    if not files:
        raise DataError(f"the folder {path} holds no images ({', '.join(sorted(SUFFIXES))})")
    labels = FolderLabels(path, files, folders)
    source = ImageFolder(path, files, labels.found(wanted.options.labels), wanted)
    source.takes_labels, source.told = False, labels.told
    return source


def _class_folders(path: Path) -> list[str]:
    """Names of the folders in it, sorted."""
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _images_in(path: Path, folders: list[str]) -> list[str]:
    """Images of a folder, or of its class folders and what they hold; sorted by class and name."""
    flat = sorted(_images_below(path, deep=False))
    if flat and folders:
        raise DataError(
            f"the folder {path} holds both images and folders, such as {flat[0]} and {folders[0]}: "
            "give a folder of images, or one with a folder per class"
        )
    found = flat
    for name in folders:
        images = sorted(f"{name}/{file}" for file in _images_below(path / name, deep=True))
        if not images:
            raise DataError(f"the class folder {path / name} holds no images")
        found += images
    return found


def _images_below(path: Path, deep: bool) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(path, onerror=fail):  # which follows no links
        inside = os.path.relpath(folder, path)
        for name in names:
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith("."):
                yield name if inside == "." else f"{inside}/{name}".replace(os.sep, "/")
        if not deep:
            break


def claims_folder(path: Path) -> bool:
    """Whether a path is a folder that holds images, or only folders."""
    if not path.is_dir():
        return False
    found = False
    with os.scandir(path) as entries:
        for entry in entries:
            if os.path.splitext(entry.name)[1].lower() in SUFFIXES or entry.is_dir():
                found = True
                break
    return found


IMAGE_FOLDER = Reader(
    "image-folder",
    "a folder of images, or of a folder per class",
    claims_folder,
    _open,
    ("labels", "resize", "crop"),
)
