"""The readers of this package, in the order in which they are asked."""

from __future__ import annotations

from qcompiler.data.frames.source import Reader

from .cifar import CIFAR
from .csv_table import CSV
from .hdf5 import HDF5
from .hugging_face import HUGGING_FACE
from .idx import IDX
from .image_folder import IMAGE_FOLDER
from .numpy_file import NUMPY
from .parquet import PARQUET

BUILT_IN: tuple[Reader, ...] = (
    *(NUMPY, CSV, PARQUET, HDF5),  # by the end of the name
    *(IDX, CIFAR, HUGGING_FACE),  # by names and first bytes
    IMAGE_FOLDER,  # any folder with images or folders
)
