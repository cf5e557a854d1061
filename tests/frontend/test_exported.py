"""Small networks as exporters wrote them; the scripts beside the files made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import evaluate, verify
from qcompiler.passes.slicing.slices import unsplit_name
from tests.support.onnx_models import run_onnx

FOLDER = Path(__file__).parent / "exported"
# Populations beside the input's: one a layer or gate, none for a transpose.
POPULATIONS = {
    **{"keras_cnn": 4, "keras_mobile": 5, "keras_resized": 2, "keras_transposed": 2},
    **{"keras_unet": 4, "keras_rnn": 6, "pytorch_loop": 6, "pytorch_rnn": 4},
    **{"sklearn_binary": None, "sklearn_logistic": 1, "sklearn_machine": 1},
    **{"sklearn_regression": 1, "keras_excite": None, "keras_lstm": None, "keras_gru": None},
    **{"keras_birnn": None, "keras_embedding": None, "keras_masked": None, "pytorch_gru": None},
}


def data(proto: onnx.ModelProto, count: int) -> np.ndarray[Any, Any]:
    """Random inputs from 0 to 1, or indices; in every second sample the last row is absent."""
    (given,) = proto.graph.input
    kind = given.type.tensor_type
    shape = [dim.dim_value for dim in kind.shape.dim[1:]]
    rng = np.random.default_rng(7)
    if kind.elem_type == onnx.TensorProto.INT32:
        found = rng.integers(0, 9, (count, *shape)).astype(np.int32)
    else:
        found = rng.uniform(0, 1, (count, *shape)).astype(np.float32)
    found[::2, -1] = 0
    return found


def test_all_are_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.onnx")} == set(POPULATIONS)


@pytest.mark.parametrize("name", POPULATIONS)
def test_import_is_exact(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    proto = onnx.load(path)
    batch = data(proto, 5)
    graph = import_model(path, allow_products=True).graph
    verify(graph)
    wanted = run_onnx(proto, {proto.graph.input[0].name: batch})
    for found, expected in zip(evaluate(graph, batch), wanted, strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, 1e-5, 1e-5)
    assert not [outcome for outcome in check_model(path, None, True) if outcome.kind == "refused"]


@pytest.mark.parametrize("name", [name for name, count in POPULATIONS.items() if count])
def test_compiled(name: str) -> None:
    """Without products: no population but those of layers, and engines that agree."""
    path = FOLDER / f"{name}.onnx"
    batch = data(onnx.load(path), 40)
    program = qcompiler.compile(path, calibration=batch, target="reference")
    rows = [row for row in program.report().populations if row.kind != "input"]
    assert len({unsplit_name(row.name) for row in rows}) == POPULATIONS[name]
    fast, steps = program.spikes(batch[:4]), program.spikes(batch[:4], engine="steps")
    assert fast.keys() == steps.keys()
    assert all(np.array_equal(fast[key], steps[key]) for key in fast)


def test_branches_that_wait_are_in_the_report() -> None:
    """By delays of synapses, or behind relays where these are too short."""
    path = FOLDER / "keras_unet.onnx"
    batch = data(onnx.load(path), 40)
    passes = (
        "fold-batchnorm,fold-linear,normalize,quantize,assign-windows{{delay={}}},insert-readout"
    )
    for delay in (63, 4):
        program = qcompiler.compile(
            path, calibration=batch, target="reference", passes=passes.format(delay)
        )
        rows = program.report().populations
        skipped, joined = rows[1].name, rows[-1]
        (other,) = (row for row in rows if row.name.endswith("conv2d_6_1/Relu:0"))
        relays = [row for row in rows if row.kind == "relay"]
        wait = other.first_step - rows[1].first_step
        assert wait == 17
        if delay == 63:
            assert not relays and joined.delays == {skipped: wait}
        else:
            (relay,) = relays
            assert relay.delays == {skipped: wait - 16} and relay.weight_bits is None
            assert not joined.delays and relay.first_step == other.first_step
