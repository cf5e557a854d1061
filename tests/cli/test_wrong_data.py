"""Data that a model was not trained on are told, where the model or the program shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.cli.running import qrun
from qcompiler.comparison.program_inputs import range_findings
from qcompiler.data import Data
from qcompiler.ir import DataError
from tests.support.onnx_models import model

Array = np.ndarray[Any, Any]
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
MODEL, TEST = DIGITS / "digits.onnx", DIGITS / "digits_test.npz"
with np.load(DIGITS / "digits_calibration.npz") as _found:
    IMAGES, LABELS = _found["images"][:, None].astype(np.float32), _found["labels"]


def compiled(images: Array, scale: float | None = None, **options: Any) -> Program:
    scales = () if scale is None else (scale,)
    given = {"target": "reference", "effort": 0, "calibration": images, "scale_values": scales}
    return qcompiler.compile(MODEL, **{**given, **options})


def test_a_batch_normalisation_tells_of_a_forgotten_scale() -> None:
    (text, *_) = compiled(IMAGES).warnings
    assert "vary 16 times as much as the training data did" in text
    assert '--> node "/norm1/BatchNormalization"' in text
    assert "--scale-values 16" in text


def test_options_tell_of_data_that_are_scaled_already() -> None:
    (text, *others) = compiled(IMAGES / 16, 16).warnings
    assert text.startswith("the calibration data range from 0 to 1, which does not suit --scale-v")
    assert "compile without --scale-values 16" in text
    assert all("see to the calibration data first" in other for other in others)


def test_labels_name_the_remedy(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=IMAGES[:, 0] / 16, labels=LABELS)
    (text, *_) = compiled(tmp_path / "d.npz", 16).warnings  # type: ignore[arg-type]
    assert "frames correctly" in text
    assert "if the data are not preprocessed" in text
    assert "compile without --scale-values 16" in text


def test_labels_of_other_images_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=IMAGES[:, 0], labels=np.roll(LABELS, 1))
    (text,) = compiled(tmp_path / "d.npz", 16).warnings  # type: ignore[arg-type]
    assert "labelled calibration inputs correctly" in text


def test_scores_tell_of_unscaled_pixels() -> None:
    """Without preprocessing, batch normalisation or labels: probabilities of exp(-1,000)."""
    rng = np.random.default_rng(0)
    proto = model(
        "float[N,1,4,4] x",
        "f = Flatten (x) y = Gemm <transB = 1> (f, w, b)",
        w=(8 * rng.standard_normal((6, 16))).astype(np.float32),
        b=np.zeros(6, np.float32),
    )
    images = rng.integers(0, 256, (256, 1, 4, 4)).astype(np.float32)
    given: dict[str, Any] = {"target": "reference", "t_max": 64}
    (text, *_) = qcompiler.compile(proto, calibration=images, **given).warnings
    assert "whole numbers up to 255" in text
    right = qcompiler.compile(proto, calibration=images, scale_values=(255,), **given)
    assert right.warnings == ()


def test_data_that_are_all_one_number_are_told() -> None:
    (text, *_) = compiled(np.zeros_like(IMAGES[:20]) + 3, 16).warnings
    assert text.startswith('every number of the calibration data for input "image" is 3')


def test_what_the_host_computes_is_told_by_the_name_that_the_model_has() -> None:
    body = "g = Greater(x, k) f = Cast<to=1>(g) y = MatMul(f, w)"
    w = np.arange(8, dtype=np.float32).reshape(4, 2)
    proto = model("int64[N,4] x", body, k=np.array([0]), w=w)
    x = np.random.default_rng(0).integers(1, 9, (20, 4))
    texts = qcompiler.compile(proto, calibration=x, target="reference").warnings
    computed = "(which the host computes of the calibration data)"
    assert any(text.startswith(f'every number of "g" {computed} is 1') for text in texts)


def test_an_open_axis_behind_a_1_may_be_no_batch_axis() -> None:
    body = "a = MatMul(x, w) b = MatMul(z, v) y = Add(a, b)"
    weights = {"w": np.ones((6, 2), np.float32), "v": np.ones((4, 2), np.float32)}
    proto = model("float[1,T,6] x, float[1,T,4] z", body, w=weights["w"], v=weights["v"])
    rng = np.random.default_rng(0)
    data = {n: rng.normal(size=(20, 5, k)).astype(np.float32) for n, k in (("x", 6), ("z", 4))}
    with pytest.raises(DataError, match=r"x=1,\.\.,6 .*z=1,\.\.,4|\[1, \.\., 6\]"):
        qcompiler.compile(proto, calibration=data, target="reference")
    shapes = {"x": (1, 5, 6), "z": (1, 5, 4)}
    qcompiler.compile(proto, calibration=data, target="reference", input_shapes=shapes)


def test_frames_that_are_compared_do_not_speak_of_all() -> None:
    """Of 8,000 frames 20 are not 0; none of them is among the few that are compared."""
    x = np.zeros((8000, 2), np.float32)
    x[300::400] = np.random.default_rng(0).uniform(1, 5, (20, 2))
    proto = model("float[N,2] x", "a = Gemm (x, w) y = Relu (a)", w=np.eye(2, dtype=np.float32))
    options: Any = {"target": "reference", "effort": 0}
    texts = qcompiler.compile(proto, calibration=x, **options).warnings
    assert not any("every number" in text or "is the same" in text for text in texts)
    x[:] = 3
    data, output = qcompiler.compile(proto, calibration=x, **options).warnings
    assert data.startswith('every number of the calibration data for input "x" is 3')
    assert "is the same for all 8000 calibration inputs" in output


def test_a_constant_output_is_told() -> None:
    proto = model(
        "float[N,4] x",
        "h = Gemm <transB = 1> (x, v, b) a = Relu (h) y = Gemm <transB = 1> (a, w, c)",
        v=np.eye(4, dtype=np.float32),
        b=np.full(4, -100, np.float32),
        w=np.eye(4, dtype=np.float32),
        c=np.ones(4, np.float32),
    )
    x = np.random.default_rng(0).random((40, 4)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=x)
    (text,) = program.warnings
    assert text.startswith('the model\'s own output "y" is the same for all 40 calibration inputs')


def test_few_frames_are_told_where_ranges_are_of_features() -> None:
    """Not of images, of which one shows many pixels, nor of flags, whose values are known."""
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {"target": "reference", "t_max": 64, "effort": 0}
    dense = model("float[N,6] x", "y = MatMul(x, w)", w=(6, 3))
    image = model("float[N,2,9,9] x", "y = Conv(x, w)", w=(3, 2, 3, 3))
    features = rng.standard_normal((200, 6)).astype(np.float32)
    pixels = rng.random((32, 2, 9, 9)).astype(np.float32)

    def told(proto: onnx.ModelProto, frames: Array) -> list[str]:
        texts = qcompiler.compile(proto, calibration=frames, **given).warnings
        return [text for text in texts if "values are known only" in text]

    assert "only on 8 calibration inputs: about 25% of" in told(dense, features[:8])[0]
    assert "some hundred" in told(dense, features[:32])[0]
    assert not told(dense, features)
    assert not told(dense, (features[:32] > 0).astype(np.float32))
    assert not told(image, pixels)
    assert "only on 1 calibration input: half or more" in told(image, pixels[:1])[0]


def test_frames_that_alone_set_a_range_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And data like all the others are not said to fit if multiplied."""
    x = np.random.default_rng(0).standard_normal((120, 6)).astype(np.float32)
    test, flags = x[100:].copy(), np.zeros_like(x)
    flags[7] = 1
    onnx.save(model("float[N,6] x", "y = MatMul(x, w)", w=(6, 3)), tmp_path / "m.onnx")
    np.savez(tmp_path / "t.npz", x=test)
    x[17] *= 1000

    def compiled_on(data: Array) -> Program:
        return qcompiler.compile(tmp_path / "m.onnx", target="reference", calibration=data)

    program = compiled_on(x)
    (text,) = (text for text in program.warnings if "levels" in text)
    assert 'for input "x", all but frame 17 lie within 1 of its' in text
    for data in (test, flags):
        assert not any("all but frame" in text for text in compiled_on(data).warnings)
    program.save(tmp_path / "p")
    _, err = run(capsys, tmp_path / "p", tmp_path / "t.npz")
    assert "help: compile again without frame 17 of the calibration data" in err


def test_one_frame_says_nothing_of_variances() -> None:
    ones = np.ones(6, np.float32)
    body = "a = BatchNormalization(x, s, b, m, v) y = MatMul(a, w)"
    proto = model("float[N,6] x", body, w=(6, 3), s=ones, b=ones, m=ones, v=2 * ones)
    x = np.random.default_rng(0).standard_normal((1, 6)).astype(np.float32)
    texts = qcompiler.compile(proto, target="reference", calibration=x, t_max=2).warnings
    assert all("vary" not in text and "one value" not in text for text in texts)
    assert all("on 1 calibration input" in text for text in texts)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    found = compiled(IMAGES, 16)
    assert found.warnings == ()
    found.save(tmp_path / "p")
    return tmp_path / "p"


def run(capsys: pytest.CaptureFixture[str], *line: Any) -> tuple[str, str]:
    assert qrun.main([str(word) for word in line]) == 0
    found = capsys.readouterr()
    return found.out, found.err


def test_qrun_is_silent_on_good_data(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, program, TEST)[1] == ""


def test_qrun_tells_of_data_outside_its_ranges(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(TEST) as found:
        images, labels = found["images"].astype(np.float32), found["labels"]
    for name, factor, remedy in (("small", 1 / 16, "give raw data"), ("large", 255, "give")):
        path = tmp_path / f"{name}.npz"
        np.savez(path, images=images * np.float32(factor), labels=labels)
        _, err = run(capsys, program, path)
        assert err.startswith('warning: the data for input "image" range from 0 to '), name
        assert "but the program is compiled for 0 to" in err
        assert remedy in err


def test_qrun_tells_of_errors_that_calibration_data_have_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of data of which a third lies beyond the range, if hardly half of their variance."""
    rng = np.random.default_rng(0)
    onnx.save(model("float[N,6] x", "a = MatMul(x, w) y = Relu(a)", w=(6, 3)), tmp_path / "m.onnx")
    x = rng.standard_normal((200, 6)).astype(np.float32)
    options: Any = {"target": "reference", "t_max": 32, "slices": 1}
    program = qcompiler.compile(tmp_path / "m.onnx", calibration=x, **options)
    program.save(tmp_path / "p")
    for name, data in (("like", x[:60]), ("few", 3 * x[:7]), ("wide", 3 * x[:60] + 2)):
        np.savez(tmp_path / f"{name}.npz", x=data)
    line = tmp_path / "p", "--against", tmp_path / "m.onnx"
    assert run(capsys, *line, tmp_path / "like.npz")[1] == ""
    assert "the error of" not in run(capsys, *line, tmp_path / "few.npz")[1]
    _, err = run(capsys, *line, tmp_path / "wide.npz")
    assert re.search(r'input "x" range from .*; 3\d% of them lie beyond that', err)
    told = re.search(r"is (\d+)% .* on 60 frames \((.*) in its units\), but was (.*?)% of", err)
    assert told and "its spread on 200 calibration inputs (" in err
    known = program.manifest["calibration_check"]["outputs"]["y"]["error"]
    assert told[3] == f"{100 * known:.1f}"
    assert re.search(r"[\d.]+% of all values saturate, in place of [\d.]+% there", err)
    onnx.save(model("float[N,6] x", "a = MatMul(x, w) y = Neg(a)", w=(6, 3)), tmp_path / "n.onnx")
    _, err = run(capsys, tmp_path / "p", "--against", tmp_path / "n.onnx", tmp_path / "like.npz")
    assert "n.onnx is not the file that was compiled" in err
    assert "help: compile n.onnx, or compare with the model that was compiled" in err


def test_qrun_tells_of_an_accuracy_like_a_guess(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(TEST) as found:
        images, labels = found["images"], found["labels"]
    np.savez(tmp_path / "d.npz", images=images, labels=np.roll(labels, 1))
    out, err = run(capsys, program, tmp_path / "d.npz")
    assert "accuracy" in out
    assert "is hardly better than guessing one of 10 classes; on calibration data, 100%" in err
    assert "--against MODEL.onnx" in err
    np.savez(tmp_path / "s.npz", images=images / np.float32(16), labels=labels)
    _, err = run(capsys, program, tmp_path / "s.npz", "--against", MODEL)
    assert "if the data are not preprocessed" in err


def test_scores_may_keep_axes_of_length_one() -> None:
    """As behind a global pool: they are looked at as classes, 64 images are enough for that."""
    rng = np.random.default_rng(2)
    weight = rng.standard_normal((10, 3, 1, 1)).astype(np.float32)
    proto = model("float[N,3,4,4] x", "c = Conv(x, w)\ny = GlobalAveragePool(c)", w=weight)
    images = rng.random((64, 3, 4, 4)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=images, effort=0)
    assert np.asarray(program.run(images[:2])).shape == (2, 10, 1, 1)


def test_no_divisor_is_proposed_that_leaves_a_corner_of_the_range() -> None:
    program = compiled(IMAGES / 16)
    (of_pixels,) = range_findings(program, Data((IMAGES,)))
    (of_bytes,) = range_findings(program, Data((IMAGES / 16 * 255,)))
    assert "range from 0 to 16, but the program is compiled for 0 to 1;" in of_pixels.text
    assert "255" not in (of_pixels.help or "")
    assert "divided by 255" in (of_bytes.help or "")


def test_changes_of_the_data_that_overflow_are_no_errors() -> None:
    """Wrong labels: the model is tried on data 255 times as large, where its exponential ends."""
    x = np.random.default_rng(0).standard_normal((120, 8)).astype(np.float32)
    labels = np.arange(120) % 8
    program = qcompiler.compile(
        model("float[N,8] x", "y = Exp(x)"), target="reference", calibration=x, labels=labels
    )
    assert any("labelled calibration inputs" in text for text in program.warnings)


@pytest.mark.parametrize(("error", "told"), [(0.5, False), (0.01, True)])
def test_qrun_tells_of_errors_that_few_fitted_inputs_have_not(
    error: float, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though levels explain them: on calibration inputs the program does much better."""
    rng = np.random.default_rng(0)
    onnx.save(model("float[N,6] x", "a = MatMul(x, w) y = Relu(a)", w=(6, 3)), tmp_path / "m.onnx")
    x = rng.standard_normal((200, 6)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=3 * x)
    program = qcompiler.compile(tmp_path / "m.onnx", calibration=x, target="reference", t_max=16)
    program.manifest["calibration_check"]["outputs"]["y"].update(error=error, levels=1.2)
    program.save(tmp_path / "p")
    line = tmp_path / "p", "--against", tmp_path / "m.onnx", tmp_path / "x.npz"
    assert ("1.0% of its spread on 200 calibration inputs" in run(capsys, *line)[1]) is told
