"""Outputs that layers read as well: the host gets a copy with more levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.data import Data
from qcompiler.explain.diagnosis import explain
from qcompiler.ir import Builder, Constant, Tensor, verify
from qcompiler.ir.ann import Add, Affine, Clip, Dense
from qcompiler.ir.snn import Decode
from qcompiler.ir.spiking.coding import code_of_output
from qcompiler.passes.activations.duplication import duplicate_layers
from qcompiler.passes.activations.resolution import Resolution
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.spiking import same_spikes

READ: dict[str, tuple[str, dict[str, Any]]] = {
    "a code": (
        "a = Gemm(x, w) b = Tanh(a) y = Gemm(b, v) c = Relu(y) z = Gemm(c, u)",
        {"w": (5, 6), "v": (6, 3), "u": (3, 5)},
    ),
    "a state": (
        "a = Gemm(x, w) b = Sigmoid(a) c = Tanh(a) y = Mul(b, c) z = Gemm(y, v)",
        {"w": (5, 6), "v": (6, 2)},
    ),
    "a view": (
        "a = Gemm(x, w) y = Reshape(a, s) z = Gemm(a, v)",
        {"w": (5, 6), "v": (6, 7), "s": ints(0, 2, 3)},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_copies_have_more_levels(name: str, tmp_path: Path) -> None:
    """Their error is hardly that of 64 levels alone, and `--explain` knows them."""
    body, weights = READ[name]
    proto = model("float[N,5] x", body, 13, "y z", **weights)
    batch = np.random.default_rng(2).standard_normal((200, 5)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=batch, t_max=64)
    ends = [code_of_output(n) for n in program.graph.nodes if isinstance(n.op, Decode)]
    assert [code.t_max for code in ends] == [256, 256]
    exact, found = run_onnx(proto, {"x": batch})[0], program.measure(batch).outputs["y"]
    assert np.sqrt(np.mean((found - exact) ** 2)) < 1.1 * np.ptp(exact) / 63 / 12**0.5
    same_spikes(program, "fast", batch[:2])
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    told = explain(program, path, Data((batch,)))
    assert any(layer.name.endswith(":host") for layer in told.layers)


def test_few_levels_need_no_copies() -> None:
    body, weights = READ["a code"]
    proto = model("float[N,5] x", body, 13, "y z", **weights)
    batch = np.random.default_rng(2).standard_normal((50, 5)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=batch, t_max=16)
    assert not any(":host" in node.result.name for node in program.graph.nodes)


def test_each_host_has_a_copy_of_its_own() -> None:
    """Names stay apart, also those of the copies that clips read."""
    build, kernel = Builder("hosts"), np.full((3, 4), 0.25, np.float32)
    bias, one = Constant("b", 0 * kernel[:, 0]), Constant("o", np.ones(1, np.float32))
    zero = Constant("n", 0 * one.data)
    layer = build.add(
        Dense(), build.input("x", Tensor((4,))), Constant("w", kernel), bias, name="h"
    )
    hosts = [build.add(Affine(), layer, one, zero, name=name) for name in "yz"]
    clips = [build.add(Clip(low), layer, name=f"c{low:g}") for low in (0.0, -1.0)]
    graph = build.build([*hosts, build.add(Add(), *clips, name="s")])
    found = duplicate_layers(graph, Resolution(graph, 16, 16, 127))
    verify(found)
    copies = [node.result.name for node in found.nodes if ":copy" in node.result.name]
    assert copies == ["h:copy0", "h:copy1", "h:copy2"]
