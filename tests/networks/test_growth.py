"""Nothing that compiling does is done for every pair of layers.

Calls of each function are counted, not seconds: they are as many on every machine, however busy.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler

pytestmark = pytest.mark.long

LAYERS = 10
SIZES = {"outputs": 20, "reshapes": 40}
MOST = 1.5  # exponent; twice the layers are 2.8 times the calls
FEW = 8  # calls a layer, and fewer, are not looked at
# Where splitting a value still costs a look at every node: what must not, besides.
WATCHED = (
    "fusion_groups.py",
    "session.py",
    "synapse_sums.py",
    "core_map.py",
    "population_mapper.py",
)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.mark.parametrize("family", ["chain", "reshapes", "sums", "concatenation", "outputs"])
def test_without_data(family: str, tmp_path: Path) -> None:
    assert not fast_growing(family, SIZES.get(family, LAYERS), tmp_path, {})


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_with_data(target: str, tmp_path: Path) -> None:
    import growing

    images = np.random.default_rng(1).random((8, *growing.SHAPE), np.float32)
    options = {"calibration": images, "effort": 1, "target": target}
    found = fast_growing("chain", LAYERS, tmp_path, options)
    assert not [name for name in found if any(file in name for file in WATCHED)]


def fast_growing(
    family: str, size: int, folder: Path, options: dict[str, Any]
) -> dict[str, tuple[int, int]]:
    """Functions whose calls grow with a larger exponent: how often they are called."""
    calls_of(family, 4, folder, options)  # what is done once in a process
    small, large = (calls_of(family, some, folder, options) for some in (size, 2 * size))
    return {
        str(name): (small[name], count)
        for name, count in large.items()
        if count > FEW * 2 * size and count > 2**MOST * max(small[name], FEW * size)
    }


def calls_of(family: str, size: int, folder: Path, options: dict[str, Any]) -> Counter[Hashable]:
    """Calls of each function while a network is compiled, and the program saved and loaded."""
    import growing

    model, saved = folder / "network.onnx", folder / f"{family}{size}"
    onnx.save(growing.network(family, size), model)
    found: Counter[Hashable] = Counter()

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            found[frame.f_code] += 1
        elif event == "c_call":
            found[getattr(argument, "__qualname__", "")] += 1

    before = sys.getprofile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qcompiler.CompileWarning)
        gc.collect()
        gc.disable()  # else what other tests left behind may be counted: its weak references call
        sys.setprofile(count)
        try:
            program = qcompiler.compile(model, **{"target": "reference", **options})
            program.save(saved)
            qcompiler.load(saved)
        finally:
            sys.setprofile(before)
            gc.enable()
    return found
