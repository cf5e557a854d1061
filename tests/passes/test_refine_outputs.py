"""Outputs get more levels where a few would be too few, and keep the windows of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends import REFERENCE
from qcompiler.ir import Builder, Constant, DataError, Graph, Tensor, Value
from qcompiler.ir.ann import Clip, Dense, Function
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Population
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.ir.spiking.integer_network import spikes_of
from qcompiler.passes import Pipeline
from qcompiler.passes.tensor.refine_outputs import RefineOutputs
from tests.support.onnx_models import ints, model

RNG = np.random.default_rng(5)


def classifier(features: int, formula: str = "") -> Graph:
    """Scores of three classes, some of them alike, or a function of them."""
    builder = Builder("net")
    x = builder.input("x", Tensor((4,)))
    hidden = builder.add(Dense(), x, *_dense("h", RNG.normal(size=(features, 4))), name="h")
    h = builder.add(Clip(0.0, None), hidden, name="relu")
    scores = builder.add(Dense(), h, *_dense("s", RNG.normal(size=(3, features))), name="scores")
    last = builder.add(Function(formula), scores, name="last") if formula else scores
    return builder.build([last])


def _dense(name: str, weights: Array) -> tuple[Constant, Constant]:
    array = weights.astype(np.float32)
    zeros = np.zeros(len(array), np.float32)
    return Constant(f"{name}.W", array), Constant(f"{name}.B", zeros)


def levels(graph: Graph, images: Array | None, **options: int) -> int | None:
    """The t_max of the output."""
    data = None if images is None else (images,)
    (value,) = RefineOutputs(calibration=data, **options)(graph).outputs
    assert isinstance(value, Value) and isinstance(value.type, Tensor)
    return value.type.t_max


def near_ties(share: float) -> tuple[Graph, Array]:
    """A network whose scores are its inputs, and data in which this share of frames has a tie."""
    builder = Builder("net")
    x = builder.input("x", Tensor((3,)))
    network = builder.build([builder.add(Dense(), x, *_dense("y", np.eye(3)), name="y")])
    images = RNG.permuted(np.tile(np.array([0.1, 0.5, 0.9]), (400, 1)), axis=1)
    images[: int(400 * share)] = 0.9, 0.899, 0.1
    return network, images.astype(np.float32)


@pytest.mark.parametrize(("share", "expected"), [(0.0, None), (0.005, None), (0.02, 256)])
def test_scores_get_levels_where_ties_are_many(share: float, expected: int | None) -> None:
    assert levels(*near_ties(share)) == expected


def test_precision_is_for_all_outputs_and_needs_no_data() -> None:
    network = classifier(8)
    assert levels(network, None) is None
    assert levels(network, None, t_max=64) == 256
    assert levels(network, None, t_max=300) is None  # has more already
    assert levels(network, None, output_t_max=100) == 100


def test_a_large_output_keeps_its_levels() -> None:
    """Pieces of an image would cost as much as the network."""
    builder = Builder("net")
    x = builder.input("x", Tensor((1, 40, 40)))
    network = builder.build([builder.add(Clip(0.0, None), x, name="y")])
    assert levels(network, None, t_max=64) is None


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError):
        levels(classifier(8), np.zeros((3, 5), np.float32))


@pytest.mark.parametrize("formula", ["", "x sigmoid"])
def test_windows_stay_as_short_as_before(formula: str) -> None:
    """The output is in pieces, and segments of a function have the levels of the network."""
    images = RNG.normal(size=(50, 4)).astype(np.float32)
    text = REFERENCE.pipeline
    intervals = []
    for passes in (text, text.replace("refine-outputs,", "")):
        pipeline = Pipeline.parse(passes, defaults={"t_max": 64, "effort": 1})
        graph = pipeline.given({"calibration": (images,)}).run(classifier(8, formula))
        intervals.append(frame_interval(graph))
        populations = [n for n in graph.nodes if isinstance(n.op, Population)]
        segments = [node for node in populations if ":piece" in node.result.name]
        assert all(spikes_of(node.result).t_max <= 64 for node in segments)
    assert intervals[0] <= intervals[1]


@pytest.mark.parametrize(
    ("inputs", "body", "weights"),
    [
        ("float[N,6] x", "y = ReduceMean<axes=[1]>(x) z = Gemm(y, w)", {"w": (1, 3)}),
        ("float[N,2,4,4] x", "y = GlobalAveragePool(x) z = Conv(y, w)", {"w": (3, 2, 1, 1)}),
        (
            "float[N,1,4] x",
            'y = Resize<mode="linear">(x, , , s) z = Conv(y, w)',
            {"w": (2, 1, 1), "s": ints(1, 1, 8)},
        ),
    ],
)
def test_outputs_that_layers_read_keep_their_ranges(
    inputs: str, body: str, weights: dict[str, Any]
) -> None:
    """An embedding beside its scores: the host's copy is finer, and the layer reads the other."""
    proto = model(inputs, body, outputs="z y", **weights)
    shape = [axis.dim_value for axis in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(0).standard_normal((40, *shape)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", t_max=64, effort=0, calibration=x)
    assert all(found["error"] < 0.1 for found in _errors(program))


def _errors(program: Any) -> list[dict[str, float]]:
    return list(program.manifest["calibration_check"]["outputs"].values())
