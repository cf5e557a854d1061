"""The readers of this package, in the order in which they are asked."""

from __future__ import annotations

from qcompiler.data.frames.source import Reader

from .image_folder import IMAGE_FOLDER
from .numpy_file import NUMPY

BUILT_IN: tuple[Reader, ...] = (NUMPY, IMAGE_FOLDER)
