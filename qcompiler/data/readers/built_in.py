"""The readers of this package, in the order in which they are asked."""

from __future__ import annotations

from qcompiler.data.frames.source import Reader

from .cifar import CIFAR
from .idx import IDX
from .image_folder import IMAGE_FOLDER
from .numpy_file import NUMPY

BUILT_IN: tuple[Reader, ...] = (NUMPY, IDX, CIFAR, IMAGE_FOLDER)
