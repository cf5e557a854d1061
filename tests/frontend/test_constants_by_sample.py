"""Constants that have something for each sample, in models of open and of fixed batch size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel
from tests.support.onnx_models import Array, agrees_alone, agrees_in_place, ints, model

INDICES = np.array([[[0, 1, 2, 3], [4, 3, 2, 1]]])

# Inputs, nodes, and the constants of one sample; the axis of samples is that of length 1.
CASES: dict[str, tuple[str, str, dict[str, Array]]] = {
    "reversed": (
        "float[N,5,4] x",
        "y = ReverseSequence<batch_axis=0, time_axis=1>(x, i)",
        {"i": ints(3)},
    ),
    "reversed, time first": (
        "float[5,N,4] x",
        "y = ReverseSequence<batch_axis=1, time_axis=0>(x, i)",
        {"i": ints(4)},
    ),
    "elements": ("float[N,5,4] x", "y = GatherElements<axis=1>(x, i)", {"i": INDICES}),
    "elements, time first": (
        "float[5,N,4] x",
        "y = GatherElements(x, i)",
        {"i": INDICES.swapaxes(0, 1)},
    ),
    "slices": ("float[N,5,4] x", "y = GatherND<batch_dims=1>(x, i)", {"i": INDICES[..., :1]}),
    "slices, second axis": (
        "float[5,N,4] x",
        "y = GatherND<batch_dims=2>(x, i)",
        {"i": np.arange(10).reshape(5, 1, 2, 1) % 4},
    ),
    "scattered": (
        "float[N,5,4] x",
        "y = ScatterElements<axis=-2>(x, i, u)",
        {"i": INDICES, "u": np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 2, 4)},
    ),
}


def case(name: str, batch: str, rows: int) -> Any:
    inputs, body, constants = CASES[name]
    axes = {key: array.shape.index(1) for key, array in constants.items()}
    axes |= dict.fromkeys(axes, axes["i"])
    given: dict[str, Any] = {key: array.repeat(rows, axes[key]) for key, array in constants.items()}
    return model(inputs.replace("N", batch), body, **given)


@pytest.mark.parametrize("name", CASES)
def test_those_of_one_sample_are_right_for_any_number(name: str) -> None:
    agrees_alone(case(name, "N", 1))


@pytest.mark.parametrize("batch", ["N", "3"])
@pytest.mark.parametrize("name", CASES)
def test_those_that_are_alike_are_right_for_any_number(name: str, batch: str) -> None:
    agrees_in_place(case(name, batch, 3))


@pytest.mark.parametrize("name", CASES)
def test_samples_that_differ(name: str) -> None:
    proto = case(name, "N", 3)
    (tensor,) = (one for one in proto.graph.initializer if one.name == "i")
    array = np.frombuffer(tensor.raw_data, np.int64).copy()
    array[-1] -= 1
    tensor.raw_data = array.tobytes()
    with pytest.raises(UnsupportedModel, match=r"differs between samples.*\n.*y_node.*\n.*one row"):
        import_model(proto)
    fixed = [3 if dim.dim_param else dim.dim_value for dim in shape_of(proto).dim]
    assert import_model(proto, input_shapes={"x": fixed}).graph.nodes


def shape_of(proto: Any) -> Any:
    return proto.graph.input[0].type.tensor_type.shape


def test_places_that_count_samples_ask_for_the_batch_size_of_the_export() -> None:
    """Whose remedy works with that size, and with one sample where it was one."""
    own = np.stack([np.stack([np.full(2, at), np.array([1, 3])], -1) for at in range(3)])
    for rows, text in ((3, "at the one that the model was exported with"), (1, "NAME=1,..")):
        proto = model("float[N,5,4] x", "y = GatherND(x, i)", i=own[:rows])
        with pytest.raises(UnsupportedModel, match=text):
            import_model(proto)
        assert import_model(proto, input_shapes={"x": (rows, 5, 4)}).graph.nodes


@pytest.mark.parametrize(("name", "told"), [("elements", 1), ("scattered", 1), ("reversed", 0)])
@pytest.mark.parametrize("rows", [1, 3])
def test_those_of_fewer_samples_than_a_batch_are_told(name: str, told: int, rows: int) -> None:
    """Which ONNX allows for elements only; a fixed batch size makes them right."""
    proto = case(name, "N", rows)
    found = import_model(proto).assumed
    assert len(found) == told and all(one.nodes == ("y_node",) for one in found)
    assert all(f"for {rows} sample" in one.message for one in found)
    assert not import_model(proto, input_shapes={"x": (rows, 5, 4)}).assumed


def test_samples_may_differ_in_last_bits() -> None:
    """Sums of one matrix product differ by row, as processors sum in blocks."""
    rows = np.random.default_rng(0).standard_normal((1, 4, 5), np.float32).repeat(3, 0)
    rows[2] = np.nextafter(rows[2], np.float32(9))
    for body in ("y = MatMul(c, x)", "y = Mul(c, x)", "y = Concat<axis=2>(c, x)"):
        length = 5 if body.startswith("y = MatMul") else 4
        shape = f"float[3,{length},5] x"
        graph = import_model(model(shape, body, c=rows)).graph
        assert graph.inputs[0].type.shape == (length, 5)
        far = rows.copy()
        far[2] += 0.01
        graph = import_model(model(shape, body, c=far)).graph
        assert graph.inputs[0].type.shape == (3, length, 5)  # one sample
