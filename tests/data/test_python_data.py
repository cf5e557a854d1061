"""What Python code holds: tensors, data frames, and iterables of batches."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.data import DataSet, open_stream, read
from qcompiler.ir import DataError, show
from tests.support.onnx_models import model

RNG = np.random.default_rng(0)
X = RNG.random((40, 6), np.float32)
LABELS = RNG.integers(0, 3, 40)
INPUT = (("x", (6,)),)
NET = model("float[N,6] x", "h = MatMul(x, w)\ny = Relu(h)", w=RNG.standard_normal((6, 3)))


class Loader:
    """Gives batches of inputs and labels, as a DataLoader of PyTorch does."""

    def __init__(self, wrap: Any = np.asarray) -> None:
        self.wrap = wrap

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[Any]:
        for begin in range(0, 40, 10):
            yield [self.wrap(a[begin : begin + 10]) for a in (X, LABELS)]


class Tensor:
    """Has the protocols of a tensor of PyTorch, and of nothing else."""

    def __init__(
        self, array: Any, requires_grad: bool = False, device: str = "cpu", layout: str = "strided"
    ) -> None:
        self.array, self.requires_grad, self.device = array, requires_grad, device
        self.shape, self.layout = np.shape(array), layout

    def detach(self) -> Tensor:
        return Tensor(self.array, device=self.device)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.device != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        if self.layout != "strided":
            raise TypeError("can't convert Sparse layout tensor to numpy.")
        if self.array is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array if dtype is None else self.array.astype(dtype)


class Capsule:
    """Has DLPack's protocol only."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.fixture(scope="module")
def program() -> Program:
    return qcompiler.compile(NET, target="reference", calibration=X, effort=0)


GIVEN = {
    "loader": Loader(),
    "loader of tensors": Loader(Tensor),
    "tensor": Tensor(X, requires_grad=True),
    "dlpack": Capsule(X),
}


@pytest.mark.parametrize("given", ["loader", "loader of tensors", "tensor", "dlpack"])
def test_it_compiles_and_runs_as_the_array(given: str, program: Program) -> None:
    made = qcompiler.compile(NET, target="reference", calibration=GIVEN[given], effort=0)
    assert made.graph == program.graph
    np.testing.assert_array_equal(program.run(GIVEN[given]), program.run(X))


def test_batches_carry_labels() -> None:
    found = read(Loader(), INPUT)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, LABELS)
    named = read(iter([{"x": X, "label": LABELS}, {"x": X, "label": LABELS}]), INPUT)
    assert len(named) == 80
    assert named.labels is not None
    assert len(read(iter([{"pixel_values": X, "labels": LABELS}]), INPUT)) == 40
    assert read((part for part in (X, X)), INPUT).labels is None


def test_data_frames(program: Program) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X)
    np.testing.assert_array_equal(program.run(frame), program.run(X))
    whole = pandas.DataFrame({"a": [1, 2], "b": [0.5, 0.25]}, dtype=object)
    np.testing.assert_array_equal(read(whole, (("x", (2,)),)).arrays[0], [[1, 0.5], [2, 0.25]])


def test_data_sets_with_options(tmp_path: Path, program: Program) -> None:
    np.savez(tmp_path / "d.npz", x=X)
    given = DataSet(tmp_path / "d.npz", labels=LABELS, frames=8)
    found = read(given, INPUT)
    places = np.linspace(0, 39, 8).astype(int)
    np.testing.assert_array_equal(found.arrays[0], X[places])
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, LABELS[places])
    made = qcompiler.compile(NET, target="reference", calibration=given)
    assert made.manifest["calibration_images"] == 8


def test_half_precision_numbers_are_those_of_float32() -> None:
    half = RNG.normal(size=(60, 6)).astype(np.float16)
    options: dict[str, Any] = {"target": "reference", "t_max": 16}
    arrays = half, half.astype(np.float32)
    made, same = (qcompiler.compile(NET, calibration=x, **options) for x in arrays)
    assert show(made.graph) == show(same.graph)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Tensor(X, device="cuda:0"), "a Tensor cannot become a numpy array: copy it to the CPU"),
        (Tensor(X, layout="torch.sparse_coo"), r"numpy array: give tensor.to_dense\(\)"),
        (Tensor(None), r"numpy array: give tensor.float\(\), as numpy has no such numbers"),
        (iter([]), "the data are empty"),
        (iter([(X, X, X)]), "batch 0 has 3 parts for 1 inputs"),
        (iter([{"z": X, "v": X}]), "batch 0: no input is named z, v: the inputs are x"),
        (iter([{"labels": LABELS}]), "batch 0: the data hold no array for the input x"),
        (iter([X[:, :2]]), "shape"),
        (iter([7]), "must hold numbers, one sample per row|is a single value"),
    ],
)
def test_other_things_get_a_sentence(given: Any, sentence: str, program: Program) -> None:
    given, again = (list(given), None) if isinstance(given, Iterator) else (given, given)
    with pytest.raises(DataError, match=sentence):
        read(again or iter(given), INPUT)
    with pytest.raises(DataError, match=sentence):
        program.run(again or iter(given))


@pytest.mark.parametrize("given", [X.tolist(), list(X)])
def test_lists_of_frames_calibrate_and_run(given: Any, program: Program) -> None:
    made = qcompiler.compile(NET, target="reference", calibration=given, effort=0)
    assert made.graph == program.graph
    np.testing.assert_array_equal(program.run(given), program.run(X))


@pytest.mark.parametrize("kind", [object, complex, str])
def test_the_wrong_type_of_arrays_is_named_with_a_remedy(kind: Any, program: Program) -> None:
    wrong = X.astype(kind)
    sentence = f"array for x has dtype {wrong.dtype}: give real numbers, as array.astype"
    for call in (program.run, lambda x: qcompiler.compile(NET, calibration=x)):
        with pytest.raises(DataError) as caught:
            call(wrong)
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (LABELS.astype(float), "give labels.astype(int)"),
        (LABELS.astype(str), "give labels.astype(int)"),
        (LABELS.astype(object), "give labels.astype(int)"),
        (np.array(["cat", "dog"] * 20), "np.unique(labels, return_inverse=True)[1] numbers names"),
        (LABELS[:, None], "give labels.reshape(-1)"),
        (np.eye(3)[LABELS], "labels.argmax(axis=1)"),
        (LABELS + 0.5, None),
    ],
)
def test_the_wrong_type_of_labels_is_named_with_a_remedy(wrong: Any, remedy: str | None) -> None:
    for given in ({"source": X, "labels": wrong}, {"source": {"x": X, "labels": wrong}}):
        with pytest.raises(DataError, match="labels must be one integer per frame") as caught:
            read(inputs=INPUT, **given)
        (found,) = caught.value.diagnostics
        assert found.message.endswith(f"not an array {wrong.shape} of {wrong.dtype}")
        assert remedy is None or remedy in str(found.help)
        assert remedy is not None or found.help is None


def test_what_is_no_array_is_named_with_a_remedy(tmp_path: Path, program: Program) -> None:
    np.savez(tmp_path / "d.npz", x=X)
    path = tmp_path / "d.npz"
    given = {"None": None, "a DataSet": DataSet(path), "a PosixPath": path, "a str": str(path)}
    for kind, wrong in {**given, "a Stream": open_stream(path, INPUT)}.items():
        for call in (program.run, program.measure):
            with pytest.raises(DataError, match=f"for x is {kind}, no array of frames") as caught:
                call(wrong)
            assert "np.load" in str(caught.value) and "run_stream" in str(caught.value)


def test_an_open_file_is_told(tmp_path: Path, program: Program) -> None:
    np.savez(tmp_path / "d.npz", x=X)
    content = (tmp_path / "d.npz").read_bytes()
    for call in (program.run, lambda given: qcompiler.compile(NET, calibration=given)):
        with (tmp_path / "d.npz").open("rb") as file:
            for given in (file, BytesIO(content)):
                with pytest.raises(DataError, match="the data are an open file") as caught:
                    call(given)
                assert "give its path as calibration data; np.load(file)" in str(caught.value)
    np.testing.assert_array_equal(program.run(np.load(BytesIO(content))), program.run(X))


def test_masked_values_are_refused_and_masks_of_nothing_are_none(program: Program) -> None:
    masked: Any = np.ma.array
    whole, holes = masked(X, mask=False), masked(X, mask=X > 0.99)
    np.testing.assert_array_equal(program.run(whole), program.run(X))
    sentence = f"{(X > 0.99).sum()} of 240 values are masked: give them numbers"
    for call in (program.run, lambda x: qcompiler.compile(NET, calibration=x)):
        with pytest.raises(DataError, match=sentence):
            call(holes)
    with pytest.raises(DataError, match="1 of 40 values are masked"):
        read(X, INPUT, labels=masked(LABELS, mask=np.arange(40) == 3))
