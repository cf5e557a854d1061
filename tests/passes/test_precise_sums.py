"""Sums in double precision: right for every kind of branch, and computed once for slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, SumPool
from qcompiler.ir.execution.evaluate import apply, evaluate
from qcompiler.passes.calibration import precise_sums
from qcompiler.passes.calibration.precise_sums import PreciseSums
from qcompiler.passes.quantization.fusion_groups import fusion_groups

SAME = Conv((1, 1), (1, 1, 1, 1), (1, 1))


def slices() -> Graph:
    """Two slices of a residual sum with a gain, and a dense layer that reads one of them."""
    rng, build = np.random.default_rng(0), Builder("net")

    def constant(name: str, *shape: int) -> Constant:
        return Constant(name, rng.standard_normal(shape).astype(np.float32))

    x = build.input("x", Tensor((3, 4, 4)))
    weight, scale = constant("w", 3, 3, 3, 3), Constant("s", np.full((3, 1, 1), 1.5, np.float32))
    clips = []
    for index in range(2):
        conv = build.add(SAME, x, weight, constant(f"b{index}", 3, 1, 1), name=f"conv{index}")
        pool = build.add(SumPool((1, 1), (1, 1, 1, 1), (1, 1), (3, 3)), x, name=f"pool{index}")
        total = build.add(Add(), conv, pool, x, name=f"sum{index}")
        shift = constant(f"shift{index}", 3, 1, 1)
        scaled = build.add(Affine(), total, scale, shift, name=f"scaled{index}")
        clips.append(build.add(Clip(0.0, 1.0), scaled, name=f"clip{index}"))
    dense = constant("wd", 5, 48), constant("bd", 5)
    return build.build([build.add(Dense(), clips[0], *dense, name="y"), clips[1]])


def test_slices_share_their_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, called = slices(), []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def counted(op: Any, *given: Any) -> Any:
        called.append(type(op))
        return apply(op, *given)

    monkeypatch.setattr(precise_sums, "apply", counted)
    monkeypatch.setattr(precise_sums, "_BATCH", 5 * 48)
    x = np.random.default_rng(1).standard_normal((7, 3, 4, 4)).astype(np.float32)
    known, sums = {"x": x}, PreciseSums(graph)
    for group in fusion_groups(graph):
        found = sums.of(group, [known[branch.source.name] for branch in group.branches])
        last = (group.gain or group.total or group.nodes[0]).result
        (right,) = evaluate(Graph("", graph.inputs, graph.nodes, (last,)), x.astype(np.float64))
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)
        known[group.result.name] = apply(group.clip.op, found) if group.clip else found
    assert called.count(Conv) == called.count(SumPool) == 2  # batches, for both slices
    assert not sums._kept


def test_slices_that_one_layer_reads_are_summed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, build, called = np.random.default_rng(0), Builder("net"), []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    x, y = (build.input(name, Tensor((3, 4, 4))) for name in "xy")
    weight = Constant("w", rng.standard_normal((3, 3, 3, 3)).astype(np.float32))
    other = Constant("v", rng.standard_normal((3, 3, 3, 3)).astype(np.float32))
    none = Constant("b", np.zeros((3, 1, 1), np.float32))
    read = ((x, weight), (y, weight), (x, other))
    parts = [
        build.add(SAME, source, kernel, none, name=f"part{index}")
        for index, (source, kernel) in enumerate(read)
    ]
    graph = build.build([build.add(Add(), *parts, name="sum")])

    def counted(op: Any, *given: Any) -> Any:
        called.append(type(op))
        return apply(op, *given)

    monkeypatch.setattr(precise_sums, "apply", counted)
    arrays = {name: rng.standard_normal((7, 3, 4, 4)).astype(np.float32) for name in "xy"}
    (group,) = fusion_groups(graph)
    found = PreciseSums(graph).of(group, [arrays[branch.source.name] for branch in group.branches])
    (right,) = evaluate(graph, *(array.astype(np.float64) for array in arrays.values()))
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)
    assert called == [Conv, Conv]
