"""Labels and rows that were once lost, or numbered anew, without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.data import DataSet, open_stream, read
from qcompiler.ir import DataError
from tests.support.onnx_models import model

ONE = (("x", (3,)),)
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((6, 3)).round(3)


def refused(path: Path | DataSet, inputs: Any = ONE) -> str:
    with pytest.raises(DataError) as error:
        read(path, inputs)
    assert str(error.value).count("\n") == 0
    return str(error.value).removeprefix("error: ")


def labels(path: Path | DataSet, inputs: Any = ONE) -> Any:
    found = read(path, inputs).labels
    return None if found is None else found.tolist()


def folders(root: Path, *names: str) -> Path:
    image = pytest.importorskip("PIL.Image")
    for name in names:
        (root / name).mkdir(parents=True)
        image.fromarray(RNG.integers(0, 256, (2, 2), dtype=np.uint8)).save(root / name / "a.png")
    return root


@pytest.mark.parametrize(
    ("names", "expected", "told"),
    [
        (("0", "1", "3"), [0, 1, 3], "0, 1, 3;"),
        (("1", "2", "10"), [1, 10, 2], "1, 2, 10;"),  # files are in order of their names
        (("00", "01", "02"), [0, 1, 2], None),
        (("0", "1", "x"), [0, 1, 2], None),
    ],
)
def test_folders_named_by_numbers_have_these_labels(
    names: tuple[str, ...], expected: list[int], told: str | None, tmp_path: Path
) -> None:
    found = read(folders(tmp_path / "set", *names), (("x", (2, 2)),))
    assert found.labels is not None
    assert found.labels.tolist() == expected
    assert len(found.told) == (told is not None)
    assert told is None or told in found.told[0]


def test_the_command_tells_of_folders_named_by_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = RNG.standard_normal((4, 4)).astype(np.float32)
    onnx.save(model("float[N,2,2] x", "f = Flatten(x)\ny = MatMul(f, w)", w=weights), "net.onnx")
    folders(tmp_path / "set", "0", "1", "3")
    line = "net.onnx --target reference --calibration set --scale-values 255 -o p -q"
    assert qcompile.main(line.split()) == 0
    sentence = "set are named by whole numbers, which are taken for the labels: 0, 1, 3;"
    assert sentence in capsys.readouterr().err
    assert qrun.main(["p", "set"]) == 0 and sentence in capsys.readouterr().err
    (tmp_path / "set" / "3").rename(tmp_path / "set" / "4")
    assert qrun.main(["p", "set"]) == 1
    assert "labels must lie between 0 and 3" in capsys.readouterr().err
    (tmp_path / "set" / "4").rename(tmp_path / "set" / "01")
    assert qrun.main(["p", "set"]) == 1
    assert "are the same whole number" in capsys.readouterr().err


@pytest.mark.parametrize("good", [["0", "1", "3", "1", "0"], ["b", "a", "c", "a", "b"]])
@pytest.mark.parametrize("bad", ["nan", "NaN", "inf", "NA", "null", ""])
def test_a_label_that_is_missing_is_told(good: list[str], bad: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [*good[:3], bad, *good[3:]]
    path.write_text("a,b,c,label\n" + "".join(f"1,2,3,{label}\n" for label in rows))
    what = f"{bad!r}, which is no label, in" if bad else "no label in"
    assert refused(path) == f"row 4 of {path} has {what} column label"
    found = read(DataSet(path, skip_bad=True), ONE)
    assert found.skipped == ("row 4",)
    assert found.labels is not None
    numbers = [0, 1, 3, 1, 0] if good[0] == "0" else [1, 0, 2, 0, 1]
    assert found.labels.tolist() == numbers
    path.write_text(path.read_text().replace("label", "kind", 1))
    assert refused(path).endswith("holds labels with --label-column")


def test_numbers_beside_names_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,label\n1,2,3,0\n1,2,3,cat\n")
    message = "the column of labels of {} holds both numbers and names, such as '0' and 'cat'"
    assert refused(path) == message.format(path)
    path.write_text("a,b,c,target\n1,2,3,0.5\n1,2,3,nan\n")  # a regression
    assert labels(path) is None
    path.write_text("a,b,c,label\n1,2,3,\n1,2,3,\n")
    assert labels(path) is None


@pytest.mark.parametrize("cell", ["1_0", "１"])
def test_numbers_are_those_of_people(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a,b,c\n1,2,3\n4,{cell},6\n", encoding="utf-8")
    assert refused(path) == f"row 2 of {path} has {cell!r} in column b, not a number"
    labelled = tmp_path / "l.txt"
    labelled.write_text(f"0\n{cell}\n", encoding="utf-8")
    np.save(tmp_path / "d.npy", VALUES[:2])
    given = DataSet(tmp_path / "d.npy", labels=labelled)
    assert refused(given).endswith(f"one whole number per line, not {cell!r}")


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("row", ['7,"8,9,b', '7,8,9,"b', '"7,8,9,b'])
def test_a_quote_on_the_last_row_is_told(row: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a,b,c,label\n1,2,3,a\n{row}{end}")
    message = f"{path}, line 3: a cell that begins with a quote goes on to the end"
    assert refused(DataSet(path, skip_bad=True)).startswith(message)
    path.write_text('a,b,c,label\n1,2,3,a\n7,"8",9,"b"' + end)
    assert labels(path) == [0, 1]


@pytest.mark.parametrize("kind", ["uint64", "int8", "float64", "string", "string_view"])
def test_labels_of_every_type_of_arrow(kind: str, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    if not hasattr(arrow, kind):
        pytest.skip("this pyarrow has no such type")
    path, of = tmp_path / "t.parquet", getattr(arrow, kind)()
    given: list[Any] = [0, 3, 1, 3, 0, 1]
    column = arrow.array(map(str, given) if "string" in kind else given, of)
    rows = {"signal": VALUES.tolist(), "label": column}
    parquet.write_table(arrow.table(rows), path)
    assert labels(path) == given
    (batch,) = open_stream(path, ONE).batches(6, [1, 2, 5])
    assert batch.labels is not None
    assert batch.labels.tolist() == [3, 1, 1]
    if kind == "uint64":
        rows["label"] = arrow.array([*given[:5], 1 << 63], of)
        parquet.write_table(arrow.table(rows), path)
        assert refused(path).endswith("holds 9223372036854775808, which is no class")
    if kind == "float64":
        rows["label"] = arrow.array([*given[:5], float("nan")], of)
        parquet.write_table(arrow.table(rows), path)
        message = f"{path} has nan, which is no label, in column label (row 6)"
        assert refused(path) == message
        assert read(DataSet(path, skip_bad=True), ONE).skipped == ("row 6",)


def test_rows_of_unlike_lengths_are_told_or_left_out(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    ragged: list[Any] = VALUES.tolist()
    ragged[3] = ragged[3][:2]
    parquet.write_table(arrow.table({"signal": ragged, "label": [0, 1, 2, 0, 1, 2]}), path)
    assert refused(path) == f"{path} has lists of unlike lengths in column signal (row 4)"
    found = read(DataSet(path, skip_bad=True), ONE)
    assert found.skipped == ("row 4",)
    np.testing.assert_array_equal(found.arrays[0], np.delete(VALUES, 3, 0))
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 1, 2]
    targets = arrow.table({"signal": VALUES.tolist(), "target": VALUES.tolist()})
    parquet.write_table(targets, path)
    assert labels(path) is None


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("x", "y"), None),
        (("data/x", "data/y"), None),
        (("x", "meta/labels"), None),
        (("a/b/images", "a/c/y"), None),
        (("set/train/x", "set/train/y", "set/test/x", "set/test/y"), "train"),
        (("x/train", "y/train", "x/test", "y/test"), "train"),
        (("x/train", "y/train"), "train"),
    ],
)
def test_labels_in_groups(names: tuple[str, ...], split: str | None, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    given = [0, 3, 1, 3, 0, 1]
    inputs = {"x", "images"}
    named: dict[str, Any] = {n: VALUES if inputs & {*n.split("/")} else given for n in names}
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.update(named)
    np.savez(tmp_path / "d.npz", **named)
    for path in (tmp_path / "d.h5", tmp_path / "d.npz"):
        assert labels(DataSet(path, split=split)) == given
        if len(names) > 2:
            assert "choose with --split test" in refused(path)
