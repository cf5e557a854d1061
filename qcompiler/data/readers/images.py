"""Images decoded by Pillow, resized and cropped as torchvision does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qcompiler.data.frames.held import Array
from qcompiler.data.frames.opening import library
from qcompiler.data.frames.source import Options, Wanted
from qcompiler.ir import DataError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
# Formats that Pillow decodes by itself; others start programs, such as Ghostscript.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_DEEP = ("I", "F")  # modes of 32 bits; converting them cuts what is above 255
_MOST_PIXELS = 1 << 26
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}


class Decoder:
    """Makes images of files: ``height x width x channels``, or without channels if they are grey.

    The channels are those of the network's input.
    """

    def __init__(self, wanted: Wanted, path: Path) -> None:
        self._pillow = library("PIL.Image", "Pillow", "reading images")
        self._options = wanted.options
        wanted.only(path)
        ((_, shape),) = wanted.inputs
        self._mode = _mode(shape, wanted.layout)

    def _opened(self, file: BinaryIO) -> Any:
        warnings.simplefilter("ignore")  # what is wrong enough is an error
        return self._pillow.open(file, formats=_FORMATS)

    def __call__(self, file: BinaryIO, name: str) -> Array:
        """The pixels of an image, 0 to 255. DataError, which names it, if it cannot be decoded."""
        try:
            with warnings.catch_warnings(), self._opened(file) as image:
                if image.size[0] * image.size[1] > _MOST_PIXELS:
                    raise DataError(f"{name} has more than {_MOST_PIXELS:,} pixels")
                if image.mode in _DEEP or image.mode.startswith("I;"):
                    raise DataError(f"{name} has more than 8 bits per channel, which are not read")
                image = resized(image.convert(self._mode), self._options, self._pillow)
                return np.asarray(cropped(image, self._options))
        except DataError:
            raise
        except Exception as error:  # decoders raise almost anything for damaged files
            raise DataError(f"{name} is not an image, or is damaged") from error


def _mode(shape: tuple[int, ...], layout: str | None) -> str:
    """How Pillow names the channels of an input."""
    if len(shape) == 3:
        first = _CHANNELS.get(shape[0]) if layout != "nhwc" else None
        found = first or (_CHANNELS.get(shape[2]) if layout != "nchw" else None)
        if found is None:
            raise DataError(f"images have 1, 3 or 4 channels; the network takes {shape}")
        return found
    return "L" if len(shape) < 3 else "RGB"


def resized(image: Any, options: Options, pillow: Any) -> Any:
    """An image with a shorter side of this length, or of this height and width; antialiased."""
    if not options.resize:
        return image
    width, height = image.size
    if len(options.resize) == 2:
        size = options.resize[1], options.resize[0]
    else:
        (side,) = options.resize
        short, long = sorted(image.size)
        longer = int(side * long / short)  # as torchvision rounds
        size = (side, longer) if width <= height else (longer, side)
        if size[0] * size[1] > _MOST_PIXELS:
            raise DataError(f"resized to {size[0]} x {size[1]}, an image has too many pixels")
    return image if size == image.size else image.resize(size, pillow.Resampling.BILINEAR)


def cropped(image: Any, options: Options) -> Any:
    """The middle of an image; black around it if it is smaller."""
    if not options.crop:
        return image
    (height, width), (w, h) = options.crop, image.size
    left, top = _margin(w, width), _margin(h, height)
    return image.crop((left, top, left + width, top + height))


def _margin(held: int, wanted: int) -> int:
    """Pixels that are cut on the first side, as torchvision rounds; negative: that are added."""
    return -((wanted - held) // 2) if wanted > held else round((held - wanted) / 2)
