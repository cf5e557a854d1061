"""Programs whose text has long lines are saved and read back, and no line takes long to refuse."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.saving import loading, storage
from qcompiler.ir import (
    Builder,
    CompileError,
    Constant,
    Graph,
    InvalidGraph,
    Tensor,
    UnsupportedModel,
    ann,
    parse,
)
from qcompiler.ir.view import Take
from tests.support.onnx_models import model
from tests.support.random_networks import random_batch, random_network

MANIFEST = {"target": "reference", "preprocessing": {}}


def long_graph(places: int, letters: int, origins: int) -> Graph:
    build = Builder("g")
    value = build.input("x", Tensor((places,)))
    order = np.random.default_rng(places).permutation(places)
    origin = [f"model/layer_{index}/mul" for index in range(origins)]
    taken = Take(0, tuple(order.tolist()))
    value = build.add(taken, value, name="n" * letters, origin=origin)
    held = Constant("c" * letters, np.ones(1, np.float32)), Constant("b", np.ones(1, np.float32))
    value = build.add(ann.Affine(), value, *held, name="ü" * letters)
    return build.build([value], ["out put" * (letters // 7)])


@pytest.mark.parametrize(
    "size", [(20_000, 5, 1), (4, 9_000, 1), (4, 5, 5_000), (50_000, 9_000, 99)]
)
def test_long_lines_are_read_back(size: tuple[int, int, int], tmp_path: Path) -> None:
    graph = long_graph(*size)
    storage.save(tmp_path / "p", MANIFEST, graph)
    assert loading.load(tmp_path / "p")[1] == graph


def test_a_permutation_of_many_places_is_read_back(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(20_000)
    body = "p = Gather<axis=1>(x, i) r = Relu(p) y = Gemm(r, w)"
    proto = model("float[N,20000] x", body, i=order, w=(20_000, 2))
    program = qcompiler.compile(proto, target="reference", effort=0)
    program.save(tmp_path / "p")
    assert qcompiler.load(tmp_path / "p").graph == program.graph


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_are_read_back(seed: int, tmp_path: Path) -> None:
    graph = random_network(seed, depth=3, branches=True)
    target, data = ("reference", "loihi")[seed % 2], random_batch(graph, seed)
    try:
        program = qcompiler.compile(graph, target=target, calibration=data, effort=0)
    except UnsupportedModel:
        return
    program.save(tmp_path / "p")
    assert qcompiler.load(tmp_path / "p").graph == program.graph


def test_names_that_no_archive_holds_are_refused() -> None:
    proto = model("float[N,6] x", "h = Gemm(x, w) y = Relu(h)", w=(6, 3))
    proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = "h" * 70_000
    with pytest.raises(CompileError, match="has over 10000 letters") as caught:
        qcompiler.compile(proto)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "line",
    [
        "%a: f32[2] = ann.clip(%x) {" + "a" * 200_000 + "}",
        "%a: f32[2] = ann.clip(%x) {low=" + "-" * 200_000 + "1}",
        "%a: f32[2] = ann.clip(%x) {low=" + "(" * 200_000 + ")}",
        "%a: f32[2] = ann.clip(%x) {low=(" + "9" * 200_000 + ")}",
        "%a: f32[2] = ann.clip(%x) from " + '"\\\\' * 100_000,
        "%a: f32[2] = ann.clip(%x) {} from " + '"", "} ' * 50_000,
        "%a: f32[" + "1x" * 100_000 + "1] = ann.clip(%x)",
        "%a: f32[2] = ann.clip(" + "%x, " * 50_000 + "%x)",
        "%" + "a" * 200_000,
        "return " + "%x, " * 50_000 + "%y",
    ],
    ids=lambda line: line[:34],
)
def test_no_line_takes_long(line: str) -> None:
    start = time.process_time()
    with pytest.raises(InvalidGraph) as caught:
        parse("graph @g(%x: f32[2]) {\n" + line + "\n}\n", {})
    assert time.process_time() - start < 5  # in time that grows with the square: minutes
    assert len(str(caught.value)) < 500
