"""Pipelines of scikit-learn on tables of raw features; `tabular/from_sklearn.py` made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import qcompiler
from qcompiler.ir import DataError
from tests.support.onnx_models import run_onnx

FOLDER = Path(__file__).parent / "tabular"
CLASSIFIERS = ("cancer", "cancer_logistic", "loans", "loans_logistic", "wine")
TARGETS = ("loihi", "reference")

Array = NDArray[Any]


class Case(NamedTuple):
    """A network, its data, and what onnxruntime answers for the test data."""

    path: Path
    calibration: dict[str, Array]
    test: tuple[Array, ...]
    answers: Array
    wanted: list[Array]


def case(name: str) -> Case:
    """A network of the folder; those of one kind of data share it."""
    path, proto = FOLDER / f"{name}.onnx", onnx.load(FOLDER / f"{name}.onnx")
    with np.load(FOLDER / f"{name.partition('_')[0]}.npz") as data:
        names = [given.name for given in proto.graph.input]
        calibration = {given: data[f"calibration:{given}"] for given in names}
        test = {given: data[f"test:{given}"] for given in names}
        answers = data["answers"]
    kinds = {given.name: given.type.tensor_type.elem_type for given in proto.graph.input}
    feed = {
        given: array.astype(np.int64 if kinds[given] == onnx.TensorProto.INT64 else np.float32)
        for given, array in test.items()
    }
    return Case(path, calibration, tuple(test.values()), answers, list(run_onnx(proto, feed)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_accuracy_is_that_of_the_pipeline(name: str, target: str) -> None:
    """Within 1 point at 16 levels, and the standard error of that difference.

    Of the frames that only one of both answers right, as many as by chance differ by the root of
    their number.
    """
    given = case(name)
    program = qcompiler.compile(given.path, target=target, calibration=given.calibration)
    label, probabilities = program.run(*given.test)
    assert label.dtype == np.int64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    ours = probabilities.argmax(axis=1) == given.answers
    theirs = given.wanted[1].argmax(axis=1) == given.answers
    allowed = 0.01 + np.sqrt(np.count_nonzero(ours != theirs)) / len(ours)
    assert ours.mean() >= theirs.mean() - allowed
    error = np.sqrt(np.mean((probabilities - given.wanted[1]) ** 2, axis=0))
    assert (error < 0.1 * given.wanted[1].std(axis=0)).all()


@pytest.mark.parametrize("target", TARGETS)
def test_values_are_those_of_the_pipeline(target: str) -> None:
    given = case("diabetes")
    program = qcompiler.compile(given.path, target=target, calibration=given.calibration)
    error = np.sqrt(np.mean((program.run(*given.test) - given.wanted[0]) ** 2))
    assert error < 0.1 * given.wanted[0].std()


def test_engines_agree_on_columns_of_integers_and_real_numbers() -> None:
    given = case("loans")
    program = qcompiler.compile(given.path, target="reference", calibration=given.calibration)
    few = tuple(array[:20] for array in given.test)
    for fast, steps in zip(program.run(*few), program.run(*few, engine="steps"), strict=True):
        np.testing.assert_array_equal(fast, steps)


def test_missing_values_are_refused() -> None:
    given = case("wine")
    program = qcompiler.compile(given.path, target="reference", calibration=given.calibration)
    (array,) = given.test
    with pytest.raises(DataError, match="NaN"):
        program.run(np.where(np.arange(13) == 4, np.nan, array))
