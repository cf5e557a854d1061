"""The cheapest program of the digits network that a search finds, on Lava in every code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir.spiking.codes import CODES
from qcompiler.ir.spiking.integer_network import spikes_of, spiking_nodes
from tests.support.spiking import same_spikes

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
GIVEN: dict[str, Any] = {"calibration": DIGITS / "digits_calibration.npz", "scale_values": (16,)}
FRAMES = 3


@pytest.fixture(scope="module")
def pipeline() -> str:
    """The passes that make the program of least energy."""
    found = qcompiler.compile(DIGITS / "digits.onnx", max_drift=3, objective="energy", **GIVEN)
    return str(found.manifest["pipeline"])


@pytest.mark.lava
@pytest.mark.parametrize("code", ["auto", *CODES])
def test_lava_spikes_of_the_cheapest_program(pipeline: str, code: str) -> None:
    passes = pipeline.replace("choose-codes{", f"choose-codes{{code={code} ")
    program = qcompiler.compile(DIGITS / "digits.onnx", passes=passes, **GIVEN)
    codings = {spikes_of(node.result).coding for node in spiking_nodes(program.graph)}
    assert code == "auto" or codings == {code}
    with np.load(DIGITS / "digits_test.npz") as data:
        images = data["images"][:FRAMES].astype(np.float32)[:, None]
    same_spikes(program, "lava", images)
