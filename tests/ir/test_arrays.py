"""Files of arrays: read as numpy reads them, the same bytes on every machine."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from qcompiler.ir import Constant
from qcompiler.ir.formats.arrays import write_arrays

ARRAYS = {"#file": np.arange(6, dtype="<i4").reshape(2, 3), "b": np.asfortranarray(np.eye(2))}


def test_read_as_written(tmp_path: Path) -> None:
    for compressed in (False, True):
        write_arrays(tmp_path / "x.npz", ARRAYS, compressed=compressed)
        with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
            assert found.files == list(ARRAYS)
            for name, array in ARRAYS.items():
                assert found[name].dtype == array.dtype
                np.testing.assert_array_equal(found[name], array)


def test_constants_stay_as_they_are_whatever_their_array_becomes() -> None:
    whole = np.zeros((3, 2), np.float32)
    view = whole.T[:]
    view.flags.writeable = False
    for array in (whole, view):
        constant = Constant("w", array)
        digest, before = constant.digest, constant.data.copy()
        whole += 1
        assert np.array_equal(constant.data, before) and constant.data.strides == array.strides
        assert Constant("w", constant.data).digest == digest
        with pytest.raises(ValueError, match="read-only"):
            constant.data[:] = 0


def test_what_nobody_can_write_is_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(4, np.float32))
    mapped = np.asarray(np.load(tmp_path / "x.npy", mmap_mode="r"))
    for array in (np.frombuffer(bytes(16), np.float32), Constant("w", np.ones(4)).data, mapped):
        assert np.shares_memory(Constant("w", array[1:]).data, array)


def test_same_bytes_with_every_python_and_numpy(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x.npz", ARRAYS)
    digest = hashlib.sha256((tmp_path / "x.npz").read_bytes()).hexdigest()
    assert digest == "c76014c36f8317a82e13f34bdf95f8f437925fc7e9564f8d3f17667efb4f04cd"
