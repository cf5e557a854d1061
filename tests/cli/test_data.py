"""Data are arranged as the network takes them, or refused with the reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.cli.compiling import qcompile
from qcompiler.data import fit, labels_of, read
from qcompiler.ir import DataError
from tests.support.onnx_models import model

RNG = np.random.default_rng(0)


def images(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "wanted", "layout", "order"),
    [
        ((4, 5, 6), (1, 5, 6), None, None),
        ((4, 5, 6), (5, 6, 1), None, None),
        ((4, 5, 6), (30,), None, None),
        ((4, 5, 6, 3), (3, 5, 6), None, (0, 3, 1, 2)),
        ((4, 3, 5, 6), (5, 6, 3), None, (0, 2, 3, 1)),
        ((4, 5, 6, 3), (5, 6, 3), None, None),
        ((4, 30), (1, 5, 6), None, None),
        ((4, 5, 6, 3), (90,), "nhwc", None),
        ((4, 5, 6, 3), (90,), "nchw", (0, 3, 1, 2)),
        ((4, 6, 6, 6), (6, 6, 6), "nchw", None),
    ],
)
def test_one_sensible_way_is_taken(
    given: tuple[int, ...], wanted: tuple[int, ...], layout: str | None, order: Any
) -> None:
    array = images(*given)
    expected = (array if order is None else array.transpose(order)).reshape(4, *wanted)
    np.testing.assert_array_equal(fit(array, wanted, layout), expected)


@pytest.mark.parametrize(
    ("given", "wanted", "remedy"),
    [
        ((4, 5, 6, 3), (90,), "reshape the data to (N, 90), or compile with --layout nhwc or nchw"),
        ((4, 5, 6), (6, 5), "reshape the data to (N, 6, 5)"),
        ((4, 7), (2, 3), "give data of shape (N, 2, 3)"),
        ((4, 6, 6, 6), (6, 6, 6), "which axis holds the channels: compile with --layout nhwc"),
    ],
)
def test_unclear_or_wrong_shapes_are_refused(
    given: tuple[int, ...], wanted: tuple[int, ...], remedy: str
) -> None:
    with pytest.raises(DataError, match=rf"each sample .*{re.escape(remedy)}") as refused:
        fit(images(*given), wanted, None)
    assert 'input "input"' in str(refused.value)


def test_one_sample_needs_a_batch_axis() -> None:
    with pytest.raises(DataError, match=r"a single sample.* add a batch axis, \(1, 3, 4\)"):
        fit(images(3, 4), (3, 4), None)


INPUT = (("image", (1, 3, 3)),)


@pytest.mark.parametrize("key", ["images", "x", "inputs", "image", "anything"])
def test_archives_by_name(tmp_path: Path, key: str) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, labels=np.arange(4), **{key: images(4, 3, 3)})
    data = read(path, INPUT)
    assert len(data) == 4
    assert data.labels is not None
    assert len(data.head(2)) == 2


def test_arrays_named_as_inputs_are_no_labels(tmp_path: Path) -> None:
    path, two = tmp_path / "d.npz", (("x", (4,)), ("y", (4,)))
    np.savez(path, x=images(5, 4), y=images(5, 4))
    assert read(path, two).labels is None
    np.savez(path, x=images(5, 4), y=images(5, 4), labels=np.arange(5))
    data = read(path, two)
    assert data.labels is not None
    np.testing.assert_array_equal(labels_of(path, 5, two), np.arange(5))
    np.savez(path, labels=images(5, 4), y=np.arange(5))
    data = read(path, (("labels", (4,)),))
    assert data.arrays[0].shape == (5, 4)
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, np.arange(5))


@pytest.mark.parametrize("targets", [np.ones(4), np.ones((4, 3)), np.arange(8).reshape(4, 2)])
def test_targets_of_a_regression_are_no_labels(tmp_path: Path, targets: Any) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=images(4, 3, 3), y=targets)
    assert read(path, INPUT).labels is None


def test_plain_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", images(4, 3, 3))
    assert read(tmp_path / "d.npy", INPUT).labels is None
    assert len(read(images(4, 3, 3), INPUT)) == 4
    assert len(read({"image": images(4, 3, 3)}, INPUT)) == 4


def write(path: Path, what: str) -> None:
    match what:
        case "text":
            path.write_text("hello")
        case "nothing":
            path.write_bytes(b"")
        case "cut":
            np.savez(path, images=images(4, 3, 3))
            path.write_bytes(path.read_bytes()[:60])
        case "objects":
            np.savez(path, images=np.array([{}], dtype=object), allow_pickle=True)
        case "strings":
            np.savez(path, images=np.array(["a", "b"]))
        case "labels only":
            np.savez(path, labels=np.arange(4))
        case "no frames":
            np.savez(path, images=images(0, 3, 3))
        case "a number":
            np.savez(path, images=np.float32(1))
        case "other labels":
            np.savez(path, images=images(4, 3, 3), labels=np.arange(3))
        case "float labels":
            np.savez(path, images=images(4, 3, 3), labels=np.ones(4))


WHATS = (
    *("text", "nothing", "cut", "objects", "strings", "labels only", "no frames", "a number"),
    *("other labels", "float labels", "missing"),
)


@pytest.mark.parametrize("what", WHATS)
def test_broken_data_get_a_sentence(tmp_path: Path, what: str) -> None:
    write(tmp_path / "d.npz", what)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.npz", INPUT)
    assert str(caught.value).startswith("error: ")


def test_check_leaves_unread_inputs_aside(tmp_path: Path, capsys: Any) -> None:
    proto = model("float[N,4] x, float[N,2] extra", "y = Relu(x)")
    onnx.save(proto, tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.random((9, 4)), extra=rng.random((9, 2)))
    given = ["--check", "--calibration", str(tmp_path / "d.npz")]
    assert qcompile.main([str(tmp_path / "m.onnx"), *given]) == 0
    assert "1 compiled" in capsys.readouterr().out
