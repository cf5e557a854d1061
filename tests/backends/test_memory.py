"""Data may fill the memory: what checks them takes little, and too little of it is one sentence."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import CompileError, DataError
from qcompiler.ir.kernels import is_finite_float32
from tests.support.onnx_models import model

DATA = np.random.default_rng(0).random((20, 6), np.float32)


@pytest.fixture(scope="module")
def program() -> qcompiler.Program:
    proto = model("float[N,6] x", "h = Gemm(x, w) y = Relu(h)", w=(6, 3))
    return qcompiler.compile(proto, target="reference", calibration=DATA)


@pytest.mark.parametrize("call", ["run", "measure", "levels", "spikes", "network_inputs"])
def test_too_little_memory_while_running_is_one_error(
    program: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def exhausted(*given: Any, **asked: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(type(program._runs), "_read", exhausted)
    with pytest.raises(CompileError, match="out of memory"):
        getattr(program, call)(DATA)


@pytest.mark.parametrize("call", ["run", "measure", "levels", "spikes", "network_inputs"])
def test_results_beyond_memory_are_refused_at_once(program: Any, call: str) -> None:
    if call == "network_inputs":  # without preprocessing, the data themselves
        proto = model(
            "int64[N,2] x",
            "t = Gather(table, x) f = Flatten(t) h = Gemm(f, w) y = Relu(h)",
            table=(9, 3),
            w=(6, 3),
        )
        program = qcompiler.compile(proto, target="reference")
    shape = program.inputs[0].type.shape
    endless = np.broadcast_to(np.zeros((1, *shape), np.int64), (10**12, *shape))
    with pytest.raises(DataError, match=r"results of 1,000,000,000,000 frames take .* GB, more"):
        getattr(program, call)(endless)


def test_the_check_of_numbers_takes_little_memory(program: Any) -> None:
    data = np.zeros((1_000_000, 6))
    tracemalloc.start()
    assert is_finite_float32(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < data.nbytes / 6
    for wrong in (np.nan, -np.inf, 1e39):
        data[-1, -1] = wrong
        assert not is_finite_float32(data)
        with pytest.raises(DataError, match='data for input "x" contain NaN or infinite'):
            program.run(data)
