"""The same program, whatever the last bits of sums of real numbers are.

Sums in single precision, as onnxruntime has them, are disturbed by about one unit in the last
place; those in double precision likewise. Kernels of other processors do no more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import show
from qcompiler.ir.execution.evaluate import apply, evaluate
from qcompiler.ir.execution.session import OnnxWriter, run_into
from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration import data, precise_sums
from qcompiler.passes.calibration.snap import clearly_less, snapped

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
_CANCELLED = 0.1  # of the largest value's last bits: what is left where terms cancel out


class Noise:
    """Disturbs results of the real network."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def on(self, array: Array, precision: float) -> Array:
        """Every number by its last bits, and by some of the largest one's."""
        own, common = self.rng.standard_normal((2, *array.shape)) * precision
        away = array * own + np.abs(array).max() * _CANCELLED * common * (array != 0)
        disturbed: Array = (array + away).astype(array.dtype)
        return disturbed


def disturb(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Disturb what all passes see of the real network."""
    noise = Noise(seed)

    class Session:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def run(self, *given: Any) -> list[Array]:
            return [noise.on(array, 2.0**-23) for array in self.inner.run(*given)]

    class Writer(OnnxWriter):
        def session(self, *given: Any, **options: Any) -> Any:
            return Session(super().session(*given, **options))

    def written(session: Session, given: dict[str, Array], outputs: dict[str, Array]) -> None:
        run_into(session.inner, given, outputs)
        for array in outputs.values():
            array[...] = noise.on(array, 2.0**-23)

    monkeypatch.setattr(data, "OnnxWriter", Writer)
    monkeypatch.setattr(data, "run_into", written)
    monkeypatch.setattr(
        data, "evaluate", lambda *given: tuple(noise.on(x, 2.0**-51) for x in evaluate(*given))
    )
    monkeypatch.setattr(precise_sums, "apply", lambda *given: noise.on(apply(*given), 2.0**-51))


def digits(**options: Any) -> qcompiler.Program:
    return qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        **options,
    )


@pytest.mark.parametrize(
    "options",
    [{"t_max": 4}, {"t_max": 8, "target": "reference"}, {}, {"effort": 0, "percentile": 99.9}],
    ids=str,
)
def test_the_last_bits_change_no_integer(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = digits(**options)
    for seed in range(2):
        with monkeypatch.context() as patched:
            disturb(patched, seed)
            assert show(digits(**options).graph) == show(known.graph)


@pytest.mark.long
def test_the_last_bits_change_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the schedule nor what is told of any that was tried."""
    known = digits(effort=0, max_drift=1.0)
    disturb(monkeypatch, 0)
    found = digits(effort=0, max_drift=1.0)
    assert found.manifest["search"] == known.manifest["search"]
    assert show(found.graph) == show(known.graph)


def test_snapped_numbers_have_few_bits() -> None:
    numbers = np.array([0.0, 1.0, -6.0, 255.0, 0.1, 1e-30, 1e30, 1023.4])
    found = snapped(numbers)
    assert found[:4].tolist() == numbers[:4].tolist()
    np.testing.assert_allclose(found, numbers, rtol=2.0**-10)
    assert snapped(found).tolist() == found.tolist()
    np.testing.assert_array_equal(snapped(numbers * (1 + 1e-7)), found)


def test_equal_sums_are_told_apart_by_order() -> None:
    assert clearly_less(1.0, 1.1)
    assert not clearly_less(1.0, 1.0 + 1e-12)
    assert not clearly_less(0.0, 0.0)
    assert clearly_less(0.0, np.inf)
