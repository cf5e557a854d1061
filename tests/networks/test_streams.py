"""State across frames: cells compiled, saved, loaded and run as streams of many frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler import Program
from qcompiler.backends.stream import run_stream
from tests.support.cells import cell, run_recurrently, sequences
from tests.support.onnx_models import model

Array = np.ndarray[Any, Any]
FRAMES = 150


def compiled(kind: str, **options: Any) -> Program:
    given = {"target": "reference", "calibration": sequences(16, 60), "states": "auto"}
    return qcompiler.compile(cell(kind), **(given | {"allow_products": True} | options))


def errors(program: Program, kind: str, frames: int = FRAMES) -> dict[str, Array]:
    """Root mean square error of every frame, as a share of the output's spread."""
    x = sequences(16, frames, seed=1)
    wanted = run_recurrently(cell(kind), x)
    found = run_stream(program, (x,)).outputs
    return {
        name: np.sqrt(
            ((found[name].reshape(right.shape) - right) ** 2).mean(axis=(0, *range(2, right.ndim)))
        )
        / right.std()
        for name, right in wanted.items()
    }


# Without states, a level of the network's t_max would be lost in every frame.
@pytest.mark.parametrize(
    ("kind", "t_max", "most"),
    [("elman", 16, 0.12), ("elman", 64, 0.04), ("gru", 64, 0.06), ("lstm", 64, 0.12)],
)
@pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")
def test_error_does_not_grow(kind: str, t_max: int, most: float, tmp_path: Path) -> None:
    compiled(kind, t_max=t_max).save(tmp_path / "program")
    program = qcompiler.load(tmp_path / "program")
    assert [str(state) for state in program.states][0] == "h_out:h_in"
    for name, error in errors(program, kind).items():
        early, late = error[20 : FRAMES // 2].mean(), error[FRAMES // 2 :].mean()
        print(kind, t_max, name, early, late)
        assert late < 1.5 * early and max(early, late) < most
