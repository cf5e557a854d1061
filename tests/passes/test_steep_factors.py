"""Layer normalisation of few features behind a clip: its factor is steep where rows are even."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from tests.support.onnx_models import Array, model, run_onnx

BODY = "h = MatMul(x, w) r = Relu(h) y = LayerNormalization(r, s)"


def network(features: int) -> tuple[Any, Array]:
    rng = np.random.default_rng(3)
    w = rng.normal(0, 0.6, (6, features)).astype(np.float32)
    proto = model("float[N,6] x", BODY, opset=17, w=w, s=np.ones(features, np.float32))
    return proto, rng.uniform(-1, 1, (300, 6)).astype(np.float32)


def program_of(features: int, **options: Any) -> Program:
    proto, x = network(features)
    return qcompiler.compile(proto, calibration=x, effort=0, **options)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"target": "loihi"}, 'target="reference"'),
        ({"target": "reference", "weight_bits": 8}, "weight_bits=16"),
    ],
)
def test_more_weight_bits_are_advised_not_more_levels(options: Any, remedy: str) -> None:
    with pytest.warns(qcompiler.CompileWarning) as told:
        program_of(4, t_max=64, **options)
    (fit,) = (str(one.message) for one in told if "no steeper" in str(one.message))
    assert remedy in fit and "t_max" not in fit


@pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
def test_the_mean_of_a_sample_takes_no_neuron() -> None:
    coarse, fine = (program_of(16, t_max=t_max, target="reference") for t_max in (16, 64))
    assert not [one.name for one in fine.report().populations if "mean" in one.name]
    proto, x = network(16)
    (wanted,) = run_onnx(proto, {"x": x})
    errors = [np.square(program.run(x) - wanted).mean() for program in (coarse, fine)]
    assert errors[1] < errors[0]
