"""Transformer encoders: within what their levels explain, and equal on all engines."""

from __future__ import annotations

import numpy as np
import pytest

import qcompiler
from tests.support.onnx_models import run_onnx
from tests.support.spiking import same_spikes
from tests.support.transformers import encoder


@pytest.mark.parametrize("style", ["torchscript", pytest.param("dynamo", marks=pytest.mark.long)])
def test_encoder_as_exported(style: str) -> None:
    """Weights of 16 bits hold the steepest segments of norms, however near to 0 variances come."""
    proto = encoder(style)
    batch = np.random.default_rng(2).standard_normal((64, 3, 5)).astype(np.float32)
    axis = 1 if style == "torchscript" else 0
    program = qcompiler.compile(
        proto,
        calibration=batch,
        allow_products=True,
        target="reference",
        t_max=64,
        weight_bits=16,
    )
    assert not program.warnings
    found = program.run(batch)
    (wanted,) = run_onnx(proto, {"x": np.moveaxis(batch, 0, axis)})
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.25 * wanted.std()
    np.testing.assert_array_equal(program.run(batch[:2], engine="steps"), found[:2])


@pytest.mark.long
def test_patches_of_an_image_are_tokens() -> None:
    proto = encoder("vision")
    batch = np.random.default_rng(2).standard_normal((64, 1, 2, 6)).astype(np.float32)
    program = qcompiler.compile(
        proto, calibration=batch, allow_products=True, target="reference", t_max=64
    )
    found = program.run(batch)
    (wanted,) = run_onnx(proto, {"x": batch})
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.25 * wanted.std()
    np.testing.assert_array_equal(program.run(batch[:2], engine="steps"), found[:2])


@pytest.mark.lava
def test_frame_of_an_encoder_on_lava() -> None:
    """Attention, norms, residual streams and Gelu: every spike."""
    batch = np.random.default_rng(2).standard_normal((64, 3, 5)).astype(np.float32)
    program = qcompiler.compile(
        encoder("dynamo"), calibration=batch, allow_products=True, target="loihi", t_max=8
    )
    same_spikes(program, "lava-single", batch[:1])
