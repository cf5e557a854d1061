"""What reads files that nobody trusts: each takes bytes, and works or raises a CompileError."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import qcompiler
from qcompiler.cli.running.info import info
from qcompiler.data import open_stream
from qcompiler.frontend.import_model import import_model
from tests.support.error_bound import PASSES
from tests.support.onnx_models import model

INPUT = (("x", (2, 4)),)
_MOST = 1 << 20  # bytes of a file: larger ones only take longer


def program(folder: Path) -> Path:
    """A small program, in a folder that is made if it is not there."""
    place = folder / "program"
    if not place.exists():
        proto = model("float[N,2] x", "h = Gemm(x, w) y = Relu(h)", w=(2, 2))
        data = np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
        options: dict[str, Any] = {"target": "reference", "effort": 0, "t_max": 4, "passes": PASSES}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = qcompiler.compile(proto, calibration=data, **options)
        found.save(place)
    return place


def _model(content: bytes, folder: Path) -> None:
    import_model(content, allow_products=True)


def _in_program(name: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        mutant = folder / "mutant"
        shutil.rmtree(mutant, ignore_errors=True)
        shutil.copytree(program(folder), mutant)
        (mutant / name).write_bytes(content)
        found = qcompiler.load(mutant)
        info(found)
        found.run(np.zeros((1, *found.inputs[0].type.shape), np.float32))

    return run


def _data(name: str, inputs: Any = INPUT) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(content)
        for batch in open_stream(path, inputs).batches(16):
            assert np.isfinite(batch.arrays[0].astype(np.float64)).all()

    return run


TARGETS: Mapping[str, Callable[[bytes, Path], None]] = {
    "model": _model,
    "text": _in_program("network.qir"),
    "manifest": _in_program("manifest.json"),
    "arrays": _in_program("arrays.npz"),
    "npz": _data("d.npz"),
    "npy": _data("d.npy"),
    "csv": _data("d.csv", (("x", (3,)),)),
    "idx": _data("images-idx3-ubyte"),
    "pickle": _data("test_batch", (("x", (3, 32, 32)),)),
}


def run(kind: str, content: bytes, folder: Path) -> None:
    """Let a target read a file. Raises CompileError if it is refused; anything else is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            TARGETS[kind](content[:_MOST], folder)
