"""A trained classifier with HardSwish, depthwise layers and excitation keeps its accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qcompiler
from tests.support.onnx_models import run_onnx

MODEL = Path(__file__).parent / "excitation" / "digits.onnx"
LOST = 0.02


@pytest.mark.long  # and trained, as those of the data folder
def test_accuracy_is_that_of_the_network() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    images, labels = datasets.load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    seen, x, _, answers = selection.train_test_split(
        images, labels, test_size=540, random_state=0, stratify=labels
    )
    program = qcompiler.compile(MODEL, target="reference", calibration=seen[:256], t_max=16)
    (exact,) = run_onnx(str(MODEL), {"x": x})
    found = program.run(x)
    assert isinstance(found, np.ndarray)
    wanted = float(np.mean(exact.argmax(1) == answers))
    assert wanted > 0.99
    assert np.mean(found.argmax(1) == answers) >= wanted - LOST
