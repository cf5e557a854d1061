"""Enlarged images are folded into the convolutions that read them, and mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, evaluate
from qcompiler.ir.ann import Add, Conv
from qcompiler.ir.kernels import convolve
from qcompiler.passes import Pipeline
from qcompiler.passes.folding.images import interpolation
from tests.networks.test_zoo import compiled
from tests.support.onnx_models import agrees, model

RESIZE = 'u = Resize<mode="{}", coordinate_transformation_mode="{}">(r, , s)'
FIRST = "a = Conv(x, w0, b0) r = Relu(a) "


def folded(proto: Any, *shapes: tuple[int, ...]) -> Graph:
    """The graph after folding, which gives the same as before."""
    graph = import_model(proto).graph
    found = Pipeline.parse("fold-linear").run(graph)
    rng = np.random.default_rng(1)
    batch = [rng.standard_normal((3, *shape)).astype(np.float32) for shape in shapes]
    for one, other in zip(evaluate(found, *batch), evaluate(graph, *batch), strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-4)
    return found


def enlarged(graph: Graph) -> int:
    """Sums that are no sums of convolutions: images that are enlarged by neurons."""
    producers = [[graph.producer(o) for o in n.operands] for n in graph.nodes if type(n.op) is Add]
    return sum(not all(p is not None and isinstance(p.op, Conv) for p in ps) for ps in producers)


def upsampled(
    factors: tuple[int, ...], kernel: int, space: tuple[int, ...], way: tuple[str, str], seed: int
) -> Any:
    rank, rng = len(factors), np.random.default_rng(seed)
    before = int(rng.integers(0, kernel))
    pads = [before] * rank + [kernel - 1 - before] * rank
    body = f"{FIRST} {RESIZE.format(*way)} c = Conv<pads={pads}>(u, w1, b1) y = Relu(c)"
    ones = (1,) * rank
    sizes = ",".join(map(str, space))
    weights: dict[str, Any] = {"w0": (3, 2, *ones), "b0": (3,), "b1": (4,)}
    weights["w1"] = (4, 3, *(kernel,) * rank)
    scales = np.array([1, 1, *factors], np.float32)
    return model(f"float[N,2,{sizes}] x", body, s=scales, **weights)


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "pytorch_half_pixel"])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(
    ("factors", "space"),
    [((2,), (7,)), ((2, 2), (6, 8)), ((3, 2), (6, 7)), ((1, 2), (6, 6)), ((2, 2, 2), (6, 6, 6))],
)
def test_interpolation_needs_no_neurons(
    factors: tuple[int, ...], space: tuple[int, ...], kernel: int, coordinates: str
) -> None:
    proto = upsampled(factors, kernel, space, ("linear", coordinates), kernel)
    assert not enlarged(folded(proto, (2, *space)))


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("factor", [2, 3])
def test_transposed_convolution_that_interpolates(factor: int, rank: int) -> None:
    taps = 2 * factor - factor % 2
    line = 1 - np.abs(np.arange(taps) - (taps - 1) / 2) / factor
    kernel = line if rank == 1 else np.outer(line, line)
    pads, same = [(factor - factor % 2) // 2] * 2 * rank, [1] * 2 * rank
    body = (
        f"{FIRST} u = ConvTranspose<group=3, strides={[factor] * rank}, pads={pads}>(r, k)"
        f" c = Conv<pads={same}>(u, w1, b1) y = Relu(c)"
    )
    weights: dict[str, Any] = {"w0": (3, 2, *(1,) * rank), "b0": (3,), "b1": (4,)}
    weights["w1"] = (4, 3, *(3,) * rank)
    weights["k"] = np.broadcast_to(kernel, (3, 1, *kernel.shape)).astype(np.float32)
    graph = folded(model(f"float[N,2{',8' * rank}] x", body, **weights), (2, *(8,) * rank))
    assert [n.op.groups for n in graph.nodes if isinstance(n.op, Conv)].count(3) == 0


@pytest.mark.parametrize(
    ("kernel", "way"),
    [(1, ("linear", "half_pixel")), (3, ("cubic", "half_pixel")), (3, ("linear", "align_corners"))],
)
def test_what_would_take_more_synapses_stays(kernel: int, way: tuple[str, str]) -> None:
    graph = folded(upsampled((2, 2), kernel, (8, 8), way, 1), (2, 8, 8))
    assert enlarged(graph) == 1


def test_a_transposed_convolution_is_known_from_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def counted(images: Any, *rest: Any) -> Any:
        counts.append(len(images))
        return convolve(images, *rest)

    monkeypatch.setattr(interpolation, "convolve", counted)
    body = f"{FIRST} u = ConvTranspose<group=3, strides=[2]>(r, k) y = Conv<pads=[1, 1]>(u, w1, b1)"
    weights: dict[str, Any] = {"w0": (3, 2, 1), "b0": (3,), "w1": (4, 3, 3), "b1": (4,)}
    proto = model("float[N,2,500] x", body, k=np.ones((3, 1, 2), np.float32), **weights)
    folded(proto, (2, 500))
    assert 0 < sum(counts) < 20


@pytest.mark.parametrize("zero", ["w1", "w2", "none"])
def test_a_convolution_of_zeros_keeps_its_bias(zero: str) -> None:
    body = (
        f"{FIRST} {RESIZE.format('linear', 'half_pixel')} c = Conv<pads=[1, 1]>(u, w1, b1)"
        " h = Conv<pads=[1, 1]>(z, w2, b2) y = Add(c, h)"
    )
    weights: dict[str, Any] = {"w0": (3, 2, 1), "b0": (3,), "b1": (4,), "b2": (4,)}
    weights |= {"w1": (4, 3, 3), "w2": (4, 2, 3)}
    weights |= {name: np.zeros(weights[name], np.float32) for name in ("w1", "w2") if name == zero}
    proto = model(
        "float[N,2,8] x, float[N,2,16] z", body, s=np.array([1, 1, 2], np.float32), **weights
    )
    assert not enlarged(folded(proto, (2, 8), (2, 16)))


def test_an_image_without_borders_of_its_own() -> None:
    body = f"{FIRST} u = ConvTranspose<group=3, strides=[2]>(r, k) y = Conv<pads=[1, 1]>(u, w1, b1)"
    weights: dict[str, Any] = {"w0": (3, 2, 1), "b0": (3,), "w1": (4, 3, 3), "b1": (4,)}
    proto = model("float[N,2,8] x", body, k=np.ones((3, 1, 2), np.float32), **weights)
    graph = folded(proto, (2, 8))
    assert not any(type(n.op) is Add for n in graph.nodes)
    assert [n.op.groups for n in graph.nodes if isinstance(n.op, Conv)] == [1, 1]


def test_stages_of_a_decoder() -> None:
    stage = (
        'u{0} = Resize<mode="linear">(r{1}, , s) k{0} = Concat<axis=1>(u{0}, {2})'
        " c{0} = Conv<pads=[1,1,1,1]>(k{0}, w{0}, b{0}) r{0} = Relu(c{0}) "
    )
    body = (
        "h = Relu(x) p1 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h)"
        " r0 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(p1) "
        + stage.format(1, 0, "p1")
        + stage.format(2, 1, "h")
        + "y = Conv(r2, w3)"
    )
    weights: dict[str, Any] = {
        "w1": (5, 6, 3, 3),
        "b1": (5,),
        "w2": (6, 8, 3, 3),
        "b2": (6,),
        "w3": (2, 6, 1, 1),
    }
    scales = np.array([1, 1, 2, 2], np.float32)
    proto = model("float[N,3,16,16] x", body, s=scales, **weights)
    assert not enlarged(folded(proto, (3, 16, 16)))
    batch = np.random.default_rng(2).standard_normal((20, 3, 16, 16)).astype(np.float32)
    program = qcompiler.compile(proto, calibration=batch, t_max=16, effort=0)
    golden, found = (program.spikes(batch[:2], engine=e) for e in ("steps", "fast"))
    for name, steps in golden.items():
        np.testing.assert_array_equal(found[name], steps, err_msg=name)


def test_a_trained_network_has_no_population_for_its_resize() -> None:
    populations = compiled("U-Net, linear", "reference").report().populations
    assert [p.name for p in populations if p.origin == ("u_node",)] == []
    assert [p.kind for p in populations].count("integrate") == 5  # y in two digits


@pytest.mark.parametrize("scale", [1.5, 0.6])
def test_corners_that_others_place_elsewhere_are_told(scale: float) -> None:
    """Parts of a pixel count in ONNX only; sizes mean the same to all."""
    body = 'y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , {})'
    scales = np.array([1, 1, 1, scale], np.float32)
    (told,) = import_model(model("float[N,2,3,7] x", body.format("s"), s=scales)).assumed
    assert told.nodes == ("y_node",) and "give sizes in place of scales" in (told.help or "")
    sizes = np.array([1, 2, 3, int(7 * scale)])
    proto = model("float[1,2,3,7] x", body.format(", s"), s=sizes)
    assert not import_model(proto).assumed
    agrees(proto, 1)
    whole = np.array([1, 1, 1, 2], np.float32)
    assert not import_model(model("float[N,2,3,7] x", body.format("s"), s=whole)).assumed


def test_long_lines_take_no_matrices() -> None:
    """As of audio: a matrix of this length would have 3 billion entries."""
    body = f"{FIRST} {RESIZE.format('linear', 'half_pixel')} y = Conv<pads=[1,1]>(u, w1)"
    weights: dict[str, Any] = {"w0": (3, 1, 1), "b0": (3,), "w1": (1, 3, 3)}
    scales = np.array([1, 1, 2], np.float32)
    graph = folded(model("float[N,1,40000] x", body, s=scales, **weights), (1, 40000))
    assert not enlarged(graph)
