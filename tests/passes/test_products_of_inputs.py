"""Products of inputs, which come in digits: gates take weights as fine as their levels."""

from __future__ import annotations

import numpy as np
import pytest

import qcompiler
from tests.support.onnx_models import model
from tests.support.spiking import same_spikes


@pytest.mark.parametrize("bits", [8, None])
def test_no_level_of_a_gate_is_far_from_the_model(bits: int | None) -> None:
    """A level of a gate was 5 steps of an input in place of 5.4, as larger weights had no room."""
    rng = np.random.default_rng(0)
    data = {name: rng.uniform(-1, 1, (400, 3)).astype(np.float32) for name in "xu"}
    wanted, errors = data["x"] * data["u"], []
    for t_max in (63, 64):
        program = qcompiler.compile(
            model("float[N,3] x, float[N,3] u", "y = Mul(x, u)"),
            target="reference",
            calibration=data,
            t_max=t_max,
            weight_bits=bits,
        )
        errors.append(np.square(program.run(data) - wanted).mean())
    assert errors[1] <= errors[0]
    same_spikes(program, "fast", *(array[:4] for array in data.values()))


@pytest.mark.parametrize("t_max", [16, 64])
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_inputs_of_one_number_a_frame_are_multiplied(target: str, t_max: int) -> None:
    """Their populations have an axis of length 1; the frames have none."""
    rng = np.random.default_rng(1)
    data = {name: rng.uniform(-1, 1, 100).astype(np.float32) for name in "xu"}
    proto = model("float[N] x, float[N] u", "y = Mul(x, u)")
    program = qcompiler.compile(proto, target=target, calibration=data, t_max=t_max)
    found = program.run(data)
    assert isinstance(found, np.ndarray) and found.shape == (100,)
    assert np.abs(found - data["x"] * data["u"]).max() < 3 / 15  # three values of 16 levels
    same_spikes(program, "fast", *(array[:4] for array in data.values()))
