"""Folders of images, as their own library writes them: labels, sizes, and one sentence each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qcompiler.cli.compiling import qcompile
from qcompiler.cli.outputs import check_places
from qcompiler.cli.running import qrun
from qcompiler.data import Data, DataSet, open_stream, read
from qcompiler.ir import DataError, ProgramError
from tests.support.onnx_models import model

Image = pytest.importorskip("PIL.Image")

INPUT = (("x", (3, 8, 8)),)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Three classes of two images."""
    for index, pixels in enumerate(PIXELS):
        folder = tmp_path / "set" / ("cat", "ant", "dog")[index // 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "set"


def refused(path: Path | DataSet, inputs: Any = INPUT) -> str:
    with pytest.raises(DataError) as error:
        read(path, inputs)
    assert str(error.value).count("\n") == 0
    return str(error.value).removeprefix("error: ")


def test_class_folders_give_labels_in_order_of_names(classes: Path) -> None:
    found = read(classes, INPUT)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 2, 2])
    order = [2, 3, 0, 1, 4, 5]
    np.testing.assert_array_equal(found.arrays[0], PIXELS[order].transpose(0, 3, 1, 2))
    grey = read(classes, (("x", (8, 8)),)).arrays[0]
    expected = [np.asarray(Image.fromarray(PIXELS[index]).convert("L")) for index in order]
    np.testing.assert_array_equal(grey, expected)
    last = read(classes, (("x", (8, 8, 3)),)).arrays[0]
    np.testing.assert_array_equal(last, PIXELS[order])


def test_batches_and_places(classes: Path) -> None:
    stream = open_stream(classes, INPUT)
    assert [len(batch) for batch in stream.batches(4)] == [4, 2]
    (batch,) = stream.batches(4, [1, 4])
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 2]
    assert len(stream.spread(3)) == 3
    assert len(open_stream(classes, INPUT, limit=5)) == 5


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0.png 7\n1.png 7\n2.png 3\n3.png 3\n4.png 5\n5.png 5\n", [3, 3, 7, 7, 5, 5]),
        ("1\n2\n3\n4\n5\n6\n", [1, 2, 3, 4, 5, 6]),
        ("dog a dog\ncat a cat\nbee\nant an ant\n", [3, 3, 1, 1, 0, 0]),
        (
            "ImageId,PredictionString\n0,n02 1 2 3 4\n1,n02 1 2 3 4 n02 1 2 3 4\n2,n01 0 0 1 1\n"
            "3,n01 0 0 1 1\n4,n03 0 0 1 1\n5,n03 0 0 1 1\n",
            [0, 0, 1, 1, 2, 2],
        ),
    ],
)
def test_labels_from_a_file(classes: Path, tmp_path: Path, text: str, labels: list[int]) -> None:
    (tmp_path / "labels.txt").write_text(text)
    found = read(DataSet(classes, labels=tmp_path / "labels.txt"), INPUT).labels
    assert found is not None
    assert found.tolist() == labels


def flat(folder: Path, *sizes: tuple[int, int], suffix: str = "png") -> list[Any]:
    """A folder of images of these widths and heights."""
    folder.mkdir()
    images = [Image.fromarray(RNG.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]
    for index, image in enumerate(images):
        image.save(folder / f"{index}.{suffix}")
    return images


@pytest.mark.parametrize(
    ("size", "resized", "box"),
    [  # what torchvision's Resize(9) and CenterCrop(8) do with these sizes
        ((20, 30), (9, 13), (0, 2, 8, 10)),
        ((31, 20), (13, 9), (2, 0, 10, 8)),
        ((9, 9), (9, 9), (0, 0, 8, 8)),
    ],
)
def test_resize_and_crop_are_those_of_torchvision(
    tmp_path: Path, size: tuple[int, int], resized: tuple[int, int], box: Any
) -> None:
    (image,) = flat(tmp_path / "set", size)
    (found,) = read(DataSet(tmp_path / "set", resize=9, crop=8), (("x", (8, 8, 3)),)).arrays
    expected = image.resize(resized, Image.Resampling.BILINEAR).crop(box)
    np.testing.assert_array_equal(found[0], np.asarray(expected))


def test_crops_of_smaller_images_have_a_black_border(tmp_path: Path) -> None:
    (image,) = flat(tmp_path / "set", (5, 8))
    (found,) = read(DataSet(tmp_path / "set", crop=(8, 8)), (("x", (8, 8, 3)),)).arrays
    expected = np.zeros((8, 8, 3), np.uint8)
    expected[:, 1:6] = np.asarray(image)
    np.testing.assert_array_equal(found[0], expected)


def test_mixed_sizes_are_refused_unless_resized(tmp_path: Path) -> None:
    flat(tmp_path / "set", (8, 8), (9, 8))
    message = refused(tmp_path / "set")
    remedy = "give --resize and --crop"
    assert f'1.png has 9 x 8 pixels, but input "x" expects (3, 8, 8): {remedy}' in message
    assert len(read(DataSet(tmp_path / "set", resize=(8, 8)), INPUT)) == 2
    (tmp_path / "set" / "1.png").rename(tmp_path / "set" / "00.png")  # now the first
    found = read(DataSet(tmp_path / "set", skip_bad=True), INPUT)
    assert (len(found), found.skipped) == (1, ("00.png",))


def test_a_flat_input_takes_images_of_one_form(tmp_path: Path) -> None:
    flat(tmp_path / "set", (8, 8), (4, 16), (5, 8))
    given = DataSet(tmp_path / "set", skip_bad=True)
    assert read(given, (("x", (64,)),)).skipped == ("1.png", "2.png")
    with pytest.raises(DataError, match=r"1\.png has 4 x 16 pixels, but 0\.png has 8 x 8: give"):
        read(tmp_path / "set", (("x", (64,)),))


def test_bad_images_are_told_or_skipped(classes: Path) -> None:
    bad = classes / "cat" / "0.png"
    bad.write_bytes(bad.read_bytes()[:-60])
    assert refused(classes) == f"{bad} is not an image, or is damaged"
    found = read(DataSet(classes, skip_bad=True), INPUT)
    assert len(found) == 5
    assert found.skipped == ("cat/0.png",)
    assert isinstance(found, Data)
    for path in classes.rglob("*.png"):
        path.write_text("no image")
    message = refused(DataSet(classes, skip_bad=True))
    assert message == "none of the 6 frames can be read"


def test_empty_folders_and_mixtures_are_refused(classes: Path, tmp_path: Path) -> None:
    (classes / "eel").mkdir()
    assert refused(classes) == f"the class folder {classes / 'eel'} holds no images"
    (tmp_path / "none").mkdir()
    assert "is no folder of a known kind" in refused(tmp_path / "none")
    Image.fromarray(PIXELS[0]).save(classes / "stray.png")
    assert "holds both images and folders, such as stray.png and ant" in refused(classes)


def test_wrong_labels_are_refused(classes: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("0.png 1\n1.png 1\n")
    assert "has no label for 4 of 6 images, such as ant/2.png" in refused(DataSet(classes, file))
    file.write_text("1\n2\n")
    assert "there are 2 labels for 6" in refused(DataSet(classes, file))
    np.save(tmp_path / "labels.npy", np.arange(3))
    assert "there are 3 labels for 6" in refused(DataSet(classes, tmp_path / "labels.npy"))


def test_links_to_elsewhere_and_bombs_are_refused(classes: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    Image.fromarray(PIXELS[0]).save(outside)
    (classes / "cat" / "0.png").unlink()
    (classes / "cat" / "0.png").symlink_to(outside)
    assert "is a link to a file outside" in refused(classes)
    flat(tmp_path / "deep", (8, 8))
    Image.fromarray(PIXELS[0, :, :, 0].astype(np.uint16)).save(tmp_path / "deep" / "1.png")
    assert "has more than 8 bits per channel" in refused(tmp_path / "deep")
    flat(tmp_path / "big", (8, 8))
    Image.new("1", (9000, 9000)).save(tmp_path / "big" / "1.png")
    assert "has more than 67,108,864 pixels" in refused(tmp_path / "big")


def test_options_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", PIXELS)
    assert "the option resize is of no use for" in refused(DataSet(tmp_path / "d.npy", resize=8))
    (tmp_path / "d.xyz").write_text("?")
    assert "is no file of a known kind: give .npz" in refused(tmp_path / "d.xyz")
    np.savez(tmp_path / "d", images=PIXELS)
    (tmp_path / "d.npz").rename(tmp_path / "unnamed")
    assert len(read(tmp_path / "unnamed", INPUT)) == 6
    assert refused(Path("a" * 300)).startswith("a")
    assert refused(tmp_path / "absent") == f"there is no file {tmp_path / 'absent'}"
    assert "crop must be one or two lengths" in refused(DataSet(tmp_path / "d.npy", crop=-1))


def test_both_commands_read_folders(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import onnx

    monkeypatch.chdir(tmp_path)
    weights = RNG.standard_normal((192, 3)).astype(np.float32)
    onnx.save(model("float[N,3,8,8] x", "f = Flatten(x)\ny = MatMul(f, w)", w=weights), "net.onnx")
    line = "net.onnx --target reference --calibration set --scale-values 255 -o p --skip-bad"
    (classes / "dog" / "6.png").write_text("no image")
    assert qcompile.main(line.split()) == 0
    assert "1 bad frame is left out, such as dog/6.png" in capsys.readouterr().err
    assert (
        qrun.main(["p", "set", "--against", "net.onnx", "--json", "--skip-bad", "-o", "out.npz"])
        == 0
    )
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert (figures["frames"], figures["skipped"], figures["interrupted"]) == (6, 1, False)
    assert figures["accuracy"] is not None
    assert "warning: 1 bad frame is left out, such as dog/6.png" in err
    assert np.load("out.npz")["y"].shape == (6, 3)
    assert qrun.main(["p", "set"]) == 1
    assert capsys.readouterr().err == "error: set/dog/6.png is not an image, or is damaged\n"


def test_labels_of_images_that_share_names_need_folders(tmp_path: Path) -> None:
    for index, pixels in enumerate(PIXELS):
        folder = tmp_path / "set" / ("cat", "ant", "dog")[index // 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index % 2}.png")
    names = [f"{folder}/{number}.png" for folder in ("ant", "cat", "dog") for number in (0, 1)]
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(f"{name} {index}" for index, name in enumerate(names)))
    found = read(DataSet(tmp_path / "set", file), INPUT)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 5]
    file.write_text("0.png 3\n1.png 4")
    assert "write their folders, too, such as ant/0.png" in refused(DataSet(tmp_path / "set", file))
    file.write_text("ant/0.png 3\nant/0.png 4")
    assert "gives ant/0.png two classes, 3 and 4" in refused(DataSet(tmp_path / "set", file))


def test_links_in_circles_are_refused(classes: Path) -> None:
    (classes / "cat" / "0.png").unlink()
    (classes / "cat" / "0.png").symlink_to("0.png")
    assert "is a link that leads nowhere" in refused(classes)


def test_what_is_read_is_not_written_over(classes: Path, tmp_path: Path) -> None:
    written = [("--report", tmp_path / "r.html")]
    data = {"the data": classes, "the labels": tmp_path / "labels.txt"}
    check_places([*written, ("-o", tmp_path / "out.npz")], data, tmp_path / "program")
    (tmp_path / "labels.txt").write_text("0")
    for place, sentence in (
        (tmp_path / "labels.txt", "holds the labels: choose another -o"),
        (classes / "ant" / "2.png", "holds the data"),
        (tmp_path / "r.html", "is given for --report, too: choose another -o"),
        (tmp_path / "program" / "x.npz", "there is no folder"),
    ):
        with pytest.raises(ProgramError, match=sentence):
            check_places([*written, ("-o", place)], data, tmp_path / "program")
    with pytest.raises(ProgramError, match=r"r\.html is given twice: choose another --report"):
        check_places(written * 2, data, tmp_path / "program")
