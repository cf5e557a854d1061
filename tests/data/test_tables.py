"""Tables and files of arrays, as their own libraries write them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qcompiler.data import DataSet, open_stream, read
from qcompiler.ir import DataError

RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((6, 3)).round(3)
SPECIES = ["b", "a", "c", "a", "b", "c"]
CODES = [1, 0, 2, 0, 1, 2]
ONE = (("x", (3,)),)
MANY = (("width", (1,)), ("height", (1,)))
NAMES = ("height", "width", "depth")


def refused(path: Path | DataSet, inputs: Any = ONE) -> str:
    with pytest.raises(DataError) as error:
        read(path, inputs)
    assert str(error.value).count("\n") == 0
    return str(error.value).removeprefix("error: ")


def labels(path: Path | DataSet, inputs: Any = ONE) -> Any:
    found = read(path, inputs).labels
    return None if found is None else found.tolist()


def csv(path: Path, separator: str = ",", **change: Any) -> Path:
    rows = [[*NAMES, "species"]]
    rows += [[*map(str, row), label] for row, label in zip(VALUES, SPECIES, strict=True)]
    path.write_text("".join(separator.join(row) + "\r\n" for row in rows))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv(tmp_path: Path, separator: str) -> None:
    path = csv(tmp_path / "t.csv", separator)
    assert "has 4 columns, but input x expects 3: name the one that holds labels" in refused(path)
    indexed = refused(DataSet(path, label_column="species"), (("x", (2,)),))
    assert "besides species, but input x expects 2: remove those that are no features" in indexed
    given = DataSet(path, label_column="species")
    np.testing.assert_array_equal(read(given, ONE).arrays[0], VALUES)
    assert labels(given) == CODES
    found = read(given, MANY).arrays
    np.testing.assert_array_equal(found[0][:, 0], VALUES[:, 1])
    np.testing.assert_array_equal(found[1][:, 0], VALUES[:, 0])
    stream = open_stream(given, ONE)
    assert [len(batch) for batch in stream.batches(4)] == [4, 2]
    (batch,) = stream.batches(4, [1, 5])
    np.testing.assert_array_equal(batch.arrays[0], VALUES[[1, 5]])


def test_csv_without_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    np.savetxt(path, np.column_stack([VALUES, CODES]), delimiter=",")
    assert labels(DataSet(path, label_column="3")) == CODES


def test_an_empty_first_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\nwidth\n1\n")
    assert refused(path, (("width", (1,)),)) == f"{path} begins with an empty line: remove it"


def test_bad_csv_gets_a_sentence(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv")
    message = f"{path} has no column kind; its columns are height, width, depth, species"
    assert refused(DataSet(path, label_column="kind")) == message
    two = (("width", (1,)), ("age", (1,)))
    assert f"{path} has no column for the input age; its columns are" in refused(path, two)
    text = path.read_text()
    given = DataSet(path, label_column="species")
    for old, new, sentence in (
        ("a\n", "a,7\n", "row 2 of {} has 5 cells, not 4"),
        (str(VALUES[2, 1]), "tall", "row 3 of {} has 'tall' in column width, not a number"),
        (str(VALUES[2, 1]), "", "row 3 of {} has '' in column width, not a number"),
        (str(VALUES[2, 1]), "nan", "row 3 of {} has 'nan' in column width, not a number"),
        ("c\n", "\n", "row 3 of {} has no label in column species"),
    ):
        path.write_text(text.replace(old, new, 1))
        assert refused(given) == sentence.format(path)
        found = read(DataSet(path, label_column="species", skip_bad=True), ONE)
        assert (len(found), len(found.skipped)) == (5, 1)
    path.write_text(text.replace("width", "height"))
    assert refused(given) == f"{path} has two columns with the name height"
    path.write_text("")
    assert refused(path) == f"{path} is empty"
    path.write_text("x,y\n")
    assert refused(path, (("x", (1,)),)) == "the data are empty"
    path.write_bytes(b"x,\xff\n1,2\n")
    assert refused(path) == f"{path} is not a table in UTF-8"
    path.write_text(text)
    twice = DataSet(path, labels=np.arange(6), label_column="species")
    assert f"the option labels is of no use for {path}" in refused(twice)


def test_targets_of_a_regression_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,target\n1,2,3,0.5\n4,5,6,0.25\n")
    assert read(path, ONE).arrays[0].shape == (2, 3)
    assert labels(path) is None
    message = f"the column of labels of {path} holds neither whole numbers nor names"
    assert refused(DataSet(path, label_column="target")) == message


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    columns = {name: VALUES[:, at] for at, name in enumerate(NAMES)}
    parquet.write_table(arrow.table({**columns, "label": SPECIES}), path, row_group_size=4)
    np.testing.assert_array_equal(read(path, ONE).arrays[0], VALUES)
    assert labels(path) == CODES
    assert labels(path, MANY) == CODES
    stream = open_stream(path, ONE)
    assert sum(len(batch) for batch in stream.batches(3)) == 6
    found = list(stream.batches(3, [1, 2, 5]))
    np.testing.assert_array_equal(np.concatenate([f.arrays[0] for f in found]), VALUES[[1, 2, 5]])
    message = f"{path} has no column kind; its columns are height, width, depth, label"
    assert refused(DataSet(path, label_column="kind")) == message
    lists = arrow.table({"signal": VALUES.tolist(), "label": CODES})
    parquet.write_table(lists, path)
    np.testing.assert_array_equal(read(path, ONE).arrays[0], VALUES)
    holes = arrow.table({"signal": [*VALUES[:5].tolist(), None], "label": CODES})
    parquet.write_table(holes, path)
    assert refused(path) == f"{path} has an empty cell in column signal (row 6)"
    assert read(DataSet(path, skip_bad=True), ONE).skipped == ("row 6",)
    path.write_bytes(path.read_bytes()[:-50])
    assert refused(path) == f"{path} is not a .parquet file, or is damaged"


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path, outside = tmp_path / "d.h5", tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x_train", data=VALUES, chunks=(2, 3), compression="gzip")
        file["y_train"] = CODES
        file["x_test"] = VALUES[:2]
        file["secret"] = h5py.ExternalLink(str(outside), "x")
    assert labels(DataSet(path, split="train")) == CODES
    assert len(read(DataSet(path, split="test"), ONE)) == 2
    message = f"{path} holds no arrays of the split val; it holds x_test, x_train, y_train"
    assert refused(DataSet(path, split="val")) == message
    stream = open_stream(DataSet(path, split="train"), ONE)
    (batch,) = stream.batches(4, [1, 2, 5])
    np.testing.assert_array_equal(batch.arrays[0], VALUES[[1, 2, 5]])
    path = tmp_path / "e.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(4, 3), dtype="f4", external=[(str(outside), 0, 48)])
    assert "keeps /x in another file, which is not read" in refused(path)
    path = tmp_path / "f.h5"
    path.write_bytes(b"no file")
    assert refused(path) == f"{path} is not an HDF5 file, or is damaged"


def saved(path: Path, rows: dict[str, Any]) -> None:
    """A data set as Hugging Face's library saves it."""
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(rows)
    path.mkdir(parents=True)
    name = "data-00000-of-00001.arrow"
    with arrow.ipc.new_stream(str(path / name), table.schema) as writer:
        writer.write_table(table, 4)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))


def test_saved_data_sets(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    images: list[dict[str, Any]] = []
    for one in pixels:
        held = io.BytesIO()
        pillow.fromarray(one).save(held, "png")
        images.append({"bytes": held.getvalue(), "path": None})
    root, inputs = tmp_path / "set", (("input", (3, 8, 8)),)
    for split in ("train", "test"):
        saved(root / split, {"image": images, "label": CODES})
    (root / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert refused(root, inputs) == f"{root} holds train and test: choose with --split test"
    found = read(DataSet(root, split="test"), inputs)
    np.testing.assert_array_equal(found.arrays[0], pixels.transpose(0, 3, 1, 2))
    assert labels(DataSet(root, split="test"), inputs) == CODES
    (batch,) = open_stream(root / "test", inputs).batches(4, [0, 5])
    np.testing.assert_array_equal(batch.arrays[0], pixels[[0, 5]].transpose(0, 3, 1, 2))
    images[2] = {"bytes": b"no image", "path": None}
    images[3] = {"bytes": None, "path": "/etc/passwd"}
    saved(tmp_path / "bad", {"image": images, "label": CODES})
    assert "an image in column image of" in refused(tmp_path / "bad", inputs)
    found = read(DataSet(tmp_path / "bad", skip_bad=True), inputs)
    assert found.skipped == ("row 3", "row 4")
    file = tmp_path / "bad" / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:500])
    assert refused(tmp_path / "bad", inputs) == f"{file} is not a file of Arrow, or is damaged"
