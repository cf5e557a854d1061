"""A transformer of two layers, trained on digits, keeps its accuracy at a bounded cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qcompiler
from tests.support.onnx_models import run_onnx

MODEL = Path(__file__).parent / "transformer" / "digits.onnx"


@pytest.mark.long  # test_transformer has untrained ones
def test_accuracy_is_that_of_the_network() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x = (images[order] / 16).astype(np.float32).reshape(-1, 8, 8)
    test, answers = x[1257:], labels[order][1257:]
    program = qcompiler.compile(
        MODEL, target="reference", calibration=x[:1257], t_max=16, allow_products=True
    )
    found = program.run(test)
    assert isinstance(found, np.ndarray)
    (exact,) = run_onnx(str(MODEL), {"x": test})
    wanted = float(np.mean(exact.argmax(1) == answers))
    assert wanted > 0.98
    assert np.mean(found.argmax(1) == answers) >= wanted - 0.01
    report = program.report()
    assert report.neurons <= 70_000
    assert report.latency_steps is not None
    assert report.latency_steps <= 1_200
    np.testing.assert_array_equal(program.run(test[:1], engine="steps"), found[:1])
