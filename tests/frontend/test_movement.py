"""What moves values costs no neuron, and the networks around it stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import (
    Builder,
    Constant,
    Graph,
    InvalidGraph,
    Tensor,
    UnsupportedModel,
    Value,
    ann,
    evaluate,
    parse,
    show,
    size,
)
from qcompiler.ir.index_maps import Arrangement, arrangements, inverse, places_of, shorter
from qcompiler.ir.snn import Population
from qcompiler.ir.view import Pick, Reshape, Take, Transpose
from qcompiler.passes import Pipeline
from tests.backends.test_engines import same
from tests.support.movement_cases import NETWORKS
from tests.support.onnx_models import agrees, model
from tests.support.random_networks import LOIHI, REFERENCE, Random, compiled, random_batch

Array = np.ndarray[Any, Any]


def network(name: str) -> Any:
    """A network whose values stay near one."""
    inputs, body, given, _ = NETWORKS[name]
    rng, weights = np.random.default_rng(7), {}
    for key, weight in given.items():
        if isinstance(weight, tuple):
            fan = np.prod(weight) / max(weight[0], weight[-1])
            weight = (rng.standard_normal(weight) / np.sqrt(fan)).astype(np.float32)
        weights[key] = weight
    return model(inputs, body, 15, **weights)


def data(graph: Any) -> Array:
    shape = (6, *graph.inputs[0].type.shape)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_has_these_populations(name: str) -> None:
    graph = agrees(network(name)).graph
    batch = data(graph)
    folded = Pipeline.parse("fold-batchnorm,fold-linear").run(graph)
    np.testing.assert_allclose(evaluate(folded, batch)[0], evaluate(graph, batch)[0], 1e-4, 1e-4)
    for text in (REFERENCE, LOIHI):
        spiking = compiled(graph, text, calibration=(batch,), t_max=16)
        same(spiking, batch)
        found = [n.result.name for n in spiking.nodes if isinstance(n.op, Population)]
        assert [n.partition(":moved")[0] for n in found] == NETWORKS[name][3]


@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_single_elements_are_saved(target: str, tmp_path: Path) -> None:
    proto = network("single elements")
    program = qcompiler.compile(proto, target=target, t_max=16)
    program.save(tmp_path / "program")
    loaded = qcompiler.load(tmp_path / "program")
    batch = data(program.graph)
    assert loaded.graph == program.graph
    for one, other in zip(loaded.run(batch), program.run(batch), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.lava
@pytest.mark.parametrize("name", ["channel shuffle", "single elements", "bilinear", "one axis"])
def test_lava_moves_them_alike(name: str) -> None:
    proto = network(name)
    program = qcompiler.compile(proto, t_max=4)
    batch = data(program.graph)[:2]
    for one, other in zip(
        program.run(batch, engine="lava-single"), program.run(batch, engine="steps"), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def _random_chain(seed: int) -> tuple[tuple[int, ...], list[Arrangement]]:
    rng = np.random.default_rng(seed)
    start = shape = tuple(int(n) for n in rng.integers(1, 5, 3))
    chain: list[Arrangement] = []
    for _ in range(4):
        kind = rng.integers(4)
        if kind == 0:
            chain.append(Arrangement(Transpose(tuple(rng.permutation(len(shape)).tolist()))))
        elif kind == 1:
            first = int(rng.choice([n for n in range(1, 5) if np.prod(shape) % n == 0]))
            chain.append(Arrangement(Reshape((first, int(np.prod(shape)) // first))))
        elif kind == 2:
            axis = int(rng.integers(len(shape)))
            found = rng.integers(0, shape[axis], rng.integers(1, 5))
            chain.append(Arrangement(Take(axis, tuple(found.tolist()))))
        else:
            places = rng.integers(0, np.prod(shape), (3, 4)).astype(np.int32)
            chain.append(Arrangement(Pick(), places))
        shape = places_of(start, chain).shape
    return start, chain


@pytest.mark.parametrize("seed", range(200))
def test_fewest_views_take_the_same_places(seed: int) -> None:
    shape, chain = _random_chain(seed)
    places = places_of(shape, chain)
    found = arrangements(places, shape)
    np.testing.assert_array_equal(places_of(shape, found), places)
    for view in chain[:1]:
        undo = inverse(view, shape)
        if undo is not None:
            same_again = places_of(shape, [view, undo])
            np.testing.assert_array_equal(same_again.ravel(), np.arange(same_again.size))


def test_views_that_are_less_together() -> None:
    shuffle = (Reshape((2, 3, 5)), Transpose((1, 0, 2)), Reshape((6, 5)))
    assert shorter(shuffle, (6, 5)) == (Take(0, (0, 3, 1, 4, 2, 5)),)
    assert shorter((Transpose((1, 2, 0)), Transpose((2, 0, 1))), (2, 3, 4)) == ()
    assert shorter((Reshape((4, 3)), Reshape((12,))), (2, 6)) == (Reshape((12,)),)
    assert shorter((Transpose((1, 0)),), (2, 6)) is None


def test_places_must_be_there() -> None:
    build = Builder("tiny")
    x = build.input("x", Tensor((2, 3)))
    places = Constant("p", np.array([[5, 0]], np.int32))
    graph = build.build([build.add(Pick(), x, places, name="y")])
    text = show(graph)
    assert "view.pick(%x, #p)" in text and "5" not in text.split("return")[0].split("pick")[1]
    assert parse(text, {"p": places.data}) == graph
    for wrong in ([[6]], [[-1]]):
        with pytest.raises(InvalidGraph, match="indices beyond"):
            build.add(Pick(), x, Constant("q", np.array(wrong, np.int32)), name="z")
    with pytest.raises(InvalidGraph, match="integer indices"):
        build.add(Pick(), x, Constant("q", np.ones((1,), np.float32)), name="z")


class Moving(Random):
    """Layers with all kinds of views between them, as exporters scatter them."""

    def moved(self, depth: int) -> Graph:
        shape = tuple(int(n) for n in self.rng.integers(2, 5, 3))
        value = self.builder.input("input", Tensor(shape))
        steps = (self.view, self.view, self.conv, self.clip, self.affine, self.pad, self.meet)
        for _ in range(depth):
            value = steps[self.rng.integers(len(steps))](value)
        return self.builder.build([self.dense(value) if self.rng.random() < 0.5 else value], ["y"])

    def view(self, x: Value) -> Value:
        shape, rng = x.type.shape, self.rng
        kind = rng.integers(4)
        if kind == 0:
            return self.add(Transpose(tuple(rng.permutation(3).tolist())), x)
        if kind == 1:
            places = Constant(self.builder.unique("places"), rng.permutation(size(x.type)))
            return self.add(Pick(), x, Constant(places.name, places.data.reshape(shape[::-1])))
        if kind == 2:
            axis = int(rng.integers(3))
            return self.add(Take(axis, tuple(rng.permutation(shape[axis]).tolist())), x)
        return self.add(Reshape((shape[1], shape[0], shape[2])), x)

    def meet(self, x: Value) -> Value:
        """Two convolutions of a value, moved alike or not, and their sum."""
        turn = Transpose(tuple(self.rng.permutation(3).tolist()))
        first, second = (self.same_size(x, x.type.shape[0]) for _ in range(2))
        if self.rng.random() < 0.3:
            first = self.clip(first)
        if self.rng.random() < 0.3:
            return self.add(ann.Add(), self.add(turn, first), self.add(turn, x))
        return self.add(ann.Add(), self.add(turn, first), self.add(turn, second))


@pytest.mark.parametrize("seed", [*range(120), 1076])  # places of more than a kilobyte
def test_views_anywhere(seed: int) -> None:
    graph = Moving(seed).moved(8)
    batch = random_batch(graph, seed)
    folded = Pipeline.parse("fold-linear").run(graph)
    for one, other in zip(evaluate(folded, batch), evaluate(graph, batch), strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-3)
    try:
        spiking = compiled(graph, LOIHI, calibration=(batch,), t_max=8)
    except UnsupportedModel:
        return
    same(spiking, batch)
