"""Inputs by name: one rule wherever Python gives arrays, for dicts and open .npz files alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.cluster.runs import partitions
from qcompiler.data import Array, Data, labels_of, read
from qcompiler.ir import DataError
from tests.support.onnx_models import model

SUM = model("float[N] a, float[N] b", "z = Neg(b) y = Add(a, z)")
ENDS = np.linspace(0, 1, 9, dtype=np.float32)
INPUTS = (("a", ()), ("b", ()))
LABELS = np.arange(9) % 2


@pytest.fixture(scope="module")
def difference() -> Program:
    return qcompiler.compile(SUM, target="reference", calibration={"a": ENDS, "b": ENDS[::-1]})


def test_inputs_by_name(difference: Program) -> None:
    named, given = {"b": ENDS[::-1], "a": ENDS}, (ENDS, ENDS[::-1])
    np.testing.assert_array_equal(difference.run(named), difference.run(*given))
    measured, wanted = difference.measure(named), difference.measure(*given)
    np.testing.assert_array_equal(measured.outputs["y"], wanted.outputs["y"])
    assert measured.counters == wanted.counters
    for found, same in (
        (difference.levels(named), difference.levels(*given)),
        (difference.spikes(named), difference.spikes(*given)),
    ):
        assert found.keys() == same.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(array, same[name])


def test_other_readers_of_frames_take_the_same(difference: Program) -> None:
    named, given = {"b": ENDS[::-1], "label": LABELS, "a": ENDS}, (ENDS, ENDS[::-1])
    for found, wanted in (
        (difference.network_inputs(named), given),
        (difference.network_inputs(iter([named, named])), [np.tile(array, 2) for array in given]),
        *zip(partitions(named, difference), partitions(given, difference), strict=True),
    ):
        np.testing.assert_array_equal(found, wanted)
    figures = pytest.importorskip("matplotlib.figure")
    frame = {name: array[0] for name, array in named.items()}
    for figure in (difference.plot.raster(frame), difference.plot.histograms(named)):
        assert isinstance(figure, figures.Figure)
    for method in (difference.network_inputs, difference.plot.raster, difference.plot.histograms):
        with pytest.raises(DataError, match="no input is named c: the inputs are a, b"):
            method({**frame, "c": 0})
    with pytest.raises(DataError, match="no input is named c: the inputs are a, b"):
        next(partitions({"c": ENDS}, difference))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (({"a": ENDS},), "the data hold no array for the input b"),
        (({"a": ENDS, "b": ENDS, "c": 1},), "no input is named c: the inputs are a, b"),
        (({"a": ENDS, "b": 0.5},), "given for b is a single value, no array of frames: give each"),
        (
            (ENDS, {"b": ENDS}),
            "given for b is a dict, no array of frames: give each of the inputs an",
        ),
        (
            (0.25, 0.5),
            "given for a is a single value, no array of frames: give each of the inputs an array",
        ),
        (
            ("a.npz", ENDS),
            "given for a is a str, no array of frames: give each of the inputs an array",
        ),
        (
            (ENDS,),
            "give one array for each input, a, b, or one mapping by name",
        ),
        (({"a": ENDS, "b": ENDS[:, None, None] * [1, 2]},), 'input "b" takes frames of shape'),
        (({"a": ENDS, "b": ENDS * np.nan},), 'the data for input "b" contain NaN'),
    ],
)
def test_wrong_names_are_told(difference: Program, given: tuple[Any, ...], sentence: str) -> None:
    for method in (difference.run, difference.measure, difference.levels, difference.spikes):
        with pytest.raises(DataError, match=sentence):
            method(*given)


def _labels(found: Data) -> Array:
    assert found.labels is not None
    return found.labels


@pytest.mark.parametrize("label", ["labels", "label", "y"])
def test_labels_are_read_and_a_run_leaves_them_aside(label: str, difference: Program) -> None:
    named = {"a": ENDS, label: LABELS, "b": ENDS[::-1]}
    np.testing.assert_array_equal(_labels(read(named, INPUTS)), LABELS)
    np.testing.assert_array_equal(difference.run(named), difference.run(ENDS, ENDS[::-1]))
    made = qcompiler.compile(SUM, target="reference", calibration=named)
    assert "labels" in made.manifest["built_with"]["data"]
    batches = [{name: array[:4] for name, array in named.items()}]
    np.testing.assert_array_equal(_labels(read(iter(batches), INPUTS)), LABELS[:4])


def test_labels_are_no_inputs_and_no_targets() -> None:
    targets = read({"a": ENDS, "b": ENDS, "y": ENDS}, INPUTS)
    assert targets.labels is None
    assert read({"a": ENDS, "y": LABELS}, (("a", ()), ("y", ()))).labels is None
    with pytest.raises(DataError, match="there are 3 labels for 9 inputs"):
        read({"a": ENDS, "b": ENDS, "labels": LABELS[:3]}, INPUTS)
    np.testing.assert_array_equal(labels_of({"a": ENDS, "y": LABELS}, 9, INPUTS), LABELS)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"c": ENDS}, "no input is named c: the inputs are a, b"),
        ({"b": "b.npy"}, "given for b is a str, no array of frames"),
        ({"b": [[1], [1, 2]]}, "given for b has parts of unlike shapes: give one array"),
    ],
)
def test_calibration_is_refused_by_name(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        qcompiler.compile(SUM, calibration={"a": ENDS, "b": ENDS, **change})
    with pytest.raises(DataError, match="the data hold no array for the input b"):
        qcompiler.compile(SUM, calibration={"a": ENDS})
    with pytest.raises(DataError, match=r"give one array for each input, a, b, .* \(3 given\)"):
        qcompiler.compile(SUM, calibration=[ENDS] * 3)


def test_arrays_of_a_file_are_taken_by_name_or_alone(tmp_path: Path) -> None:
    x, labels, path = np.ones((4, 3)), np.arange(4), tmp_path / "d.npz"
    np.savez(path, mean=x, data=x, labels=labels)
    with pytest.raises(DataError, match=r"several arrays, mean, data, .*: name it a, images, x"):
        read(path, [("a", (3,))])
    for named in ({"data": x}, {"mean": 0 * x, "x": x}, {"mean": 0 * x, "a": x}):
        np.savez(path, **{**named, "labels": labels})
        np.testing.assert_array_equal(read(path, [("a", (3,))]).arrays[0], x)


@pytest.mark.parametrize(
    ("given", "sentence"), [("", "the path of the data is empty"), (b"d.npz", "is a bytes, no arr")]
)
def test_texts_that_are_no_data(given: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(given, [("a", (3,))])


def test_open_files(difference: Program, tmp_path: Path) -> None:
    given = {"b": ENDS[::-1], "a": ENDS, "labels": LABELS}
    np.savez(tmp_path / "d.npz", **given)
    with np.load(tmp_path / "d.npz") as file:
        np.testing.assert_array_equal(difference.run(file), difference.run(given))
        found, same = read(file, INPUTS), read(tmp_path / "d.npz", INPUTS)
        np.testing.assert_array_equal(found.arrays, same.arrays)
        np.testing.assert_array_equal(_labels(found), _labels(same))
    with pytest.raises(DataError, match=r"the array for a cannot be read(.|\n)*must be open"):
        difference.run(file)
    np.savez(tmp_path / "o.npz", a=np.array([None, 1]), b=ENDS)
    objects = pytest.raises(DataError, match="the array for a cannot be read: ValueError: Object")
    with np.load(tmp_path / "o.npz") as file, objects:
        difference.run(file)
