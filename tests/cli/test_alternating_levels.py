"""The search for the least energy tries a smaller t_max for every second layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Add, Clip, Dense
from qcompiler.ir.spiking.frames import frame_interval
from qcompiler.passes import Pipeline
from qcompiler.search.alternate import ALTERNATE, alternating, with_options
from qcompiler.search.costed_program import T_MAX, CostedProgram
from qcompiler.search.latency import LatencyModel

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FILES: dict[str, Any] = {
    "calibration": DIGITS / "digits_calibration.npz",
    "scale_values": (16,),
    "target": "loihi",
}


_BURSTS = (
    "fold-batchnorm,fold-linear,standardize,split-inputs,normalize,quantize{effort=1},"
    "split-windows{how=digits},assign-windows,choose-codes{code=burst},insert-readout"
)


def layers(depth: int, shortcut: bool = False) -> Graph:
    """Dense layers with ReLUs one behind the other, and a last one without."""
    build = Builder()
    eye, zero = Constant("w", np.eye(4, dtype=np.float32)), Constant("b", np.zeros(4, np.float32))
    x = y = build.input("x", Tensor((4,)))
    for _ in range(depth):
        y = build.add(Clip(0.0), build.add(Dense(), y, eye, zero, name="d"), name="r")
    return build.build([build.add(Add(), x, y, name="y") if shortcut else y])


def test_every_second_layer_gets_another_t_max_but_not_the_ends() -> None:
    assert alternating(layers(5), 6).levels == "0:0:6:0:6:0"
    assert alternating(layers(4), 6).levels == "0:0:6:0:0"


def test_depths_follow_the_longest_path() -> None:
    assert LatencyModel(layers(3, shortcut=True)).depths() == [0, 1, 2, 3, 4]


def test_passes_get_the_levels_and_the_options() -> None:
    steps = Pipeline.parse("normalize,quantize").passes
    text = str(Pipeline(with_options(steps, layers(3), 5, (("spare", 2.0), (ALTERNATE, 6)))))
    assert text == "assign-levels{levels=0:0:6:0},normalize{t_max=5},quantize{t_max=5 spare=2.0}"
    assert str(Pipeline(with_options(steps, layers(3), 5, ()))).startswith("normalize{t_max=5}")


def test_sizes_are_in_order() -> None:
    six = CostedProgram(6, 1, 64)
    between = six.smaller()
    assert between == CostedProgram(5, 1, 64, alternate=6)
    assert between.smaller() is None and CostedProgram(T_MAX[0], 1, 64).smaller() is None
    sizes = [(one.t_max, one.alternate) for one in between.larger()]
    assert sizes == [(5, 6), (6, 0), (6, 7)]
    assert CostedProgram.of(5, between.options(base=2)) == between
    assert dict(between.options(base=2))["digits"] == 6


def test_a_program_between_two_takes_an_interval_between() -> None:
    """Two windows that follow each other make the interval: 5 and 5, 5 and 6, 6 and 6 levels."""

    def interval(t_max: int, levels: str = "0:0:0:0") -> int:
        text = _BURSTS.replace("split-inputs", f"assign-levels{{levels={levels}}},split-inputs")
        program = qcompiler.compile(DIGITS / "digits.onnx", passes=text, t_max=t_max, **FILES)
        return frame_interval(program.graph)

    assert [interval(5), interval(5, "0:0:6:0"), interval(6)] == [9, 10, 11]


@pytest.mark.long
def test_the_search_measures_it() -> None:
    model = DIGITS / "digits.onnx"
    program = qcompiler.compile(model, max_drift=2, objective="energy", effort=0, **FILES)
    points = program.manifest["search"]["points"]
    assert any(point["options"].get(ALTERNATE) for point in points)
