"""Outputs that are noise are told: after compiling, and beside the agreement in `qrun`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.cli.compiling import qcompile
from qcompiler.cli.running import qrun
from qcompiler.comparison.against import compare_with_model
from qcompiler.comparison.errors.judge import TOLERATED, Explained, noise, noisy_parts
from qcompiler.comparison.errors.level_errors import LevelCounts, values_in_levels
from qcompiler.comparison.errors.output_causes import Causes
from qcompiler.comparison.errors.output_error import output_error
from qcompiler.compilation.keywords import in_keywords
from qcompiler.data.scores import near_guessing, predictions
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileWarning, ProgramError
from tests.support.onnx_models import model
from tests.support.planted_faults import CorruptIntegers, pipeline

Array = np.ndarray[Any, Any]
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
MODEL, CALIBRATION = DIGITS / "digits.onnx", DIGITS / "digits_calibration.npz"
UNITS = np.array([300, 4, 0.01, 0.005])


def compiled(**options: Any) -> Program:
    given = {"target": "reference", "scale_values": (16,), "calibration": CALIBRATION}
    return qcompiler.compile(MODEL, **{**given, **options})


def regressions(frames: int = 64) -> Array:
    """Values of four outputs in unlike units, far from zero."""
    noise = np.random.default_rng(0).standard_normal((frames, 4))
    found: Array = noise * UNITS + [2880, 44, 0.1, 0.5]
    return found


def test_elements_in_unlike_units_have_errors_of_their_own() -> None:
    theirs = regressions()
    wrong = np.random.default_rng(1).standard_normal(theirs.shape)
    found = output_error("y", theirs + wrong * UNITS * [0.07, 0.9, 1, 10], theirs)
    assert found.error is not None and found.error < 0.1
    by_element = {part.index: part.error for part in found.parts}
    for index, expected in enumerate((0.07, 0.9, 1, 10)):
        assert by_element[index,] == pytest.approx(expected, rel=0.4)
    assert {part.index for part in noisy_parts(found)} == {(1,), (2,), (3,)}


def test_logits_that_a_softmax_has_rounded_are_few_values_all_the_same() -> None:
    """Levels half a unit apart, less the logarithm of a sum, are no further values by rounding."""
    rng = np.random.default_rng(0)
    theirs = rng.standard_normal((64, 1)) * 0.1 - 40
    ours = np.rint(2 * theirs + rng.integers(-1, 2, theirs.shape)) / 2
    ours = (ours + rng.choice([0, 4e-6], ours.shape)).astype(np.float32)
    found = noise(output_error("y", ours, theirs), ours, theirs, "frames", Causes())
    assert found is not None and "only 3 different values, 0.5 apart" in str(found)


def test_elements_at_rest_are_measured_by_the_others() -> None:
    """An element of a ReLU that fires once in 64 frames is no noise because it is rounded away."""
    rng = np.random.default_rng(0)
    theirs = np.maximum(rng.standard_normal((64, 5)), 0)
    theirs[:, 0] = 0
    theirs[7, 0] = 0.02
    ours = np.rint(theirs * 16) / 16
    assert ours[7, 0] == 0
    assert not noisy_parts(output_error("y", ours, theirs))
    ours[:, 1] = 0.5
    assert [part.index for part in noisy_parts(output_error("y", ours, theirs))] == [(1,)]


def test_probabilities_share_a_unit() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.random((64, 4))
    theirs[:, 2] *= 0.002  # a class that never comes
    ours = np.rint(theirs * 64) / 64
    assert not noisy_parts(output_error("y", ours, theirs))


def test_parts_of_images_are_channels_rows_and_columns() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.standard_normal((20, 3, 8, 9))
    ours = theirs.copy()
    ours[:, 1] += 2
    found = output_error("y", ours, theirs)
    assert str(found.worst) == "[1, :, :]"
    assert found.worst is not None and found.worst.error == pytest.approx(2, rel=0.1)
    assert len(found.parts) == 3 + 8 + 9


@pytest.mark.parametrize("frames", [1, 3, 64])
def test_what_never_changes_has_no_share(frames: int) -> None:
    theirs = np.full((frames, 2), 5.0)
    found = output_error("y", theirs + 1, theirs)
    assert found.error is None
    assert json.dumps(found.to_dict()) == '{"error": null, "spread": 0.0, "worst": null}'


def test_few_frames_have_no_parts() -> None:
    theirs = regressions(4)
    assert output_error("y", theirs, theirs).parts == ()
    assert output_error("y", theirs, theirs).error == 0


def test_more_elements_need_more_to_be_told() -> None:
    """The worst of a thousand estimates is larger than that of ten, by chance alone."""
    rng = np.random.default_rng(0)
    theirs = rng.standard_normal((64, 1000))
    ours = theirs + 0.2 * rng.standard_normal(theirs.shape)
    found = output_error("y", ours, theirs)
    assert found.worst is not None and found.worst.error > TOLERATED
    assert not noisy_parts(found)


@pytest.mark.parametrize("options", [{}, {"target": "loihi"}, {"t_max": 8}, {"t_max": 64}])
def test_digits_deserve_no_warning(options: dict[str, Any]) -> None:
    program = compiled(**options)
    assert program.warnings == program.report().warnings == ()
    check = program.manifest["calibration_check"]
    assert check["agreement"] > 0.9
    assert 0 < check["outputs"]["scores"]["error"] < TOLERATED


def test_too_few_levels_are_told() -> None:
    with pytest.warns(CompileWarning, match='the error of output "scores" is'):
        program = compiled(t_max=2, slices=1, effort=0)
    (text,) = program.warnings
    share = re.search(r"is (\d+)% of its spread on 200 calibration inputs", text)
    assert share is not None and int(share[1]) > 100 * TOLERATED
    assert "\n   = help: " in text


def test_errors_beyond_what_levels_explain_are_told() -> None:
    """Weights of few bits are no matter of levels: less than a quarter of the spread is told."""
    with pytest.warns(CompileWarning, match="where levels explain"):
        program = compiled(t_max=100, weight_bits=4)
    assert program.manifest["calibration_check"]["outputs"]["scores"]["error"] < TOLERATED
    assert "few weight bits are left in" in program.warnings[0]


def test_what_is_compiled_without_data_keeps_its_warnings() -> None:
    """Also those that only the command told once: tools read the manifest."""
    with pytest.warns(CompileWarning) as told:
        program = compiled(t_max=200, target="loihi", calibration=None)
    assumed, few = program.warnings
    assert assumed.startswith("no --calibration: ranges come from the weights alone")
    assert few.startswith("the target's limits leave few weight bits in ")
    assert [str(one.message) for one in told] == [in_keywords(assumed), in_keywords(few)]
    with pytest.warns(CompileWarning) as told:  # as few as asked for
        compiled(t_max=200, target="loihi", calibration=None, weight_bits=4)
    assert len(told) == 1


def test_the_warning_on_few_weight_bits_takes_no_map_of_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mapping a large network takes longer than all else that the check after compiling does."""
    monkeypatch.setattr("qcompiler.backends.program.placements.map_to_cores", None)
    with pytest.warns(CompileWarning, match="few weight bits are left in"):
        compiled(t_max=100, weight_bits=4)


def test_probabilities_are_judged_as_well_as_their_scores() -> None:
    """A temperature in front of a softmax magnifies what levels leave out of the scores."""
    x = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    body = "s = MatMul(x, w) t = Mul(s, k) p = Softmax(t)"

    def of(factor: float, outputs: str) -> Program:
        proto = model("float[N,4] x", body, outputs=outputs, w=(4, 3), k=np.float32(factor))
        return qcompiler.compile(proto, target="reference", calibration=x, t_max=8, slices=1)

    check = of(1, "p").manifest["calibration_check"]
    assert 0 < check["probabilities"]["p"]["error"] < TOLERATED
    assert check["outputs"]["p"]["error"] != check["probabilities"]["p"]["error"]
    with pytest.warns(CompileWarning, match=r'"p" is \d+% of its spread on 200 .* magnifies'):
        sharp = of(3000, "p t")
    assert len(sharp.warnings) == 1


def test_a_function_of_an_input_of_few_levels_is_named() -> None:
    """Inputs have no more levels if t_max grows."""
    mel = np.exp(2 * np.random.default_rng(0).standard_normal((200, 8)) - 3).astype(np.float32)
    proto = model("float[N,8] mel", "l = Log(mel) y = MatMul(l, w)", w=(8, 3))
    with pytest.warns(CompileWarning, match=r'the 343 levels of input "mel" explain') as told:
        qcompiler.compile(proto, target="reference", calibration=mel, t_max=64)
    (text,) = (str(one.message) for one in told if "343" in str(one.message))
    assert 'cut the model behind "l_node"' in text and "t_max" not in text


def test_levels_alone_round_inputs_inner_values_and_outputs() -> None:
    """Of inputs and outputs, vectors of features have a range for each."""
    rng = np.random.default_rng(2)
    body = "a = MatMul(x, w) r = Relu(a) y = MatMul(r, v)"
    proto = model("float[N,3] x", body, w=(3, 5), v=(5, 2))
    x = (rng.standard_normal((50, 3)) * [1, 20, 0.3]).astype(np.float32)
    w, v = (numpy_helper.to_array(tensor) for tensor in proto.graph.initializer)

    def rounded(array: Array, levels: int, axis: int | None) -> Array:
        low, high = array.min(axis=axis), array.max(axis=axis)
        step = (high - low) / (levels - 1)
        found: Array = np.rint((array - low) / step) * step + low
        return found

    wanted = rounded(np.maximum(rounded(x, 9, 0) @ w, 0), 5, None) @ v
    graph = import_model(proto).graph
    found = values_in_levels(graph, LevelCounts({"x": 9}, 5, 7), (x,), [graph.outputs[0].name])
    assert found is not None
    np.testing.assert_allclose(found[0], rounded(wanted, 7, 0), 1e-4, 1e-4)


def test_an_element_that_is_dead_is_named() -> None:
    fault = CorruptIntegers("scores", "dead", 1)
    with pytest.warns(CompileWarning, match=r"element \[0\]"):
        program = compiled(passes=pipeline(fault))
    assert "the program gives one value" in program.warnings[0]


def test_the_commands_tell_and_the_program_remembers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p"
    line = [str(MODEL), "--target", "reference", "--scale-values", "16", "-o", str(out)]
    line += ["--calibration", str(CALIBRATION), "--t-max", "2", "--slices", "1", "--effort", "0"]
    assert qcompile.main([*line, "-q"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith('warning: the error of output "scores" is')
    assert "\n   = help: " in told.err
    assert qcompile.main([*line, "--json"]) == 0
    (text,) = json.loads(capsys.readouterr().out)["warnings"]
    assert f"warning: {text}\n" in told.err
    program = qcompiler.load(out)
    assert program.warnings == (text,)
    program.manifest["warnings"] = [3]
    with pytest.raises(ProgramError, match="compile the model again"):
        program.report()


REGRESSION = """
    h = Gemm <transB = 1> (x, v, b)
    a = Relu (h)
    y = Gemm <transB = 1> (a, w, c)
"""


def regression(outputs: int) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    return model(
        "float[N,4] x",
        REGRESSION,
        v=(8, 4),
        b=(8,),
        w=(1000 * rng.standard_normal((outputs, 8))).astype(np.float32),
        c=(20_000 + rng.standard_normal(outputs)).astype(np.float32),
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_qrun_tells_the_error_of_a_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outputs: int
) -> None:
    onnx.save(regression(outputs), tmp_path / "net.onnx")
    x = np.random.default_rng(1).standard_normal((100, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    program = qcompiler.compile(tmp_path / "net.onnx", target="reference", calibration=x, t_max=64)
    program.save(tmp_path / "p")
    line = [tmp_path / "p", tmp_path / "data.npz", "--against", tmp_path / "net.onnx"]
    assert qrun.main([str(word) for word in line]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^error +[\d.]+ % of the output's spread", out, re.MULTILINE)
    assert ("worst element" in out) == (outputs > 1)
    if outputs == 1:
        assert "agreement" not in out
        assert "ties" not in out
    assert qrun.main([str(word) for word in [*line, "--json"]]) == 0
    found = json.loads(capsys.readouterr().out)["outputs"]["y"]
    assert 0 < found["error"] < TOLERATED
    assert (found["agreement"] is None) == (outputs == 1)


def test_agreement_is_of_scores_only() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 64)
    scores, units = rng.standard_normal((64, 4)), regressions()
    assert predictions(scores, None) is not None
    assert predictions(scores[..., None, None], None) is not None
    assert predictions(units, None) is None
    assert predictions(units, labels) is not None
    assert predictions(scores[:, :1], labels) is None
    assert predictions(scores.reshape(64, 2, 2), labels) is None
    assert (predictions(labels, None) == labels).all()  # type: ignore[union-attr]


def test_every_output_has_its_line() -> None:
    rng = np.random.default_rng(0)
    scores, boxes = rng.standard_normal((64, 4)), rng.random((64, 5, 4))
    labels = scores.argmax(axis=1)
    theirs = {"label": labels, "scores": scores, "boxes": boxes}
    ours = {"scores": scores + 0.01, "boxes": boxes + 0.5, "label": labels}
    found = {one.name: one for one in compare_with_model(ours, theirs, None)}
    assert list(found) == ["scores", "boxes", "label"]
    assert str(found["label"]) == "100.00% are equal"
    assert found["scores"].agreement == 1
    assert found["boxes"].agreement is None
    assert found["boxes"].error is not None
    assert found["boxes"].error.error == pytest.approx(0.5 / 0.29, rel=0.05)
    assert "more than 25 % in" in str(found["boxes"])


@pytest.mark.parametrize(
    ("accuracy", "classes", "frames", "near"),
    [
        (0.1056, 10, 10_000, True),
        (0.30, 10, 10_000, False),
        (0.52, 2, 200, True),
        (0.70, 2, 200, False),
        (0.05, 1000, 500, True),
        (0.57, 1000, 256, False),
        (0.10, 10, 20, False),
    ],
)
def test_what_is_hardly_better_than_guessing(
    accuracy: float, classes: int, frames: int, near: bool
) -> None:
    labels = np.arange(frames) % classes
    assert near_guessing(accuracy, classes, labels) == near
    assert not near_guessing(accuracy, classes, 0 * labels)


def test_values_beyond_the_program_ask_for_bits_not_for_data() -> None:
    """The frames compared are calibration data: others would change nothing."""
    theirs = np.random.default_rng(0).standard_normal((200, 1))
    ours = theirs.clip(-0.5, 0.5)
    given = output_error("y", ours, theirs), ours, theirs, "inputs"
    whole, found = (
        noise(*given, Causes()),
        noise(*given, Causes(pipeline="quantize{weight_bits=4}")),
    )
    assert whole is not None and "weight-bits" not in whole.text
    assert found is not None and found.help is not None
    assert "of the model's values lie beyond the program's" in found.text
    assert "more --weight-bits" in found.help and "calibrate with more" not in found.help


def test_few_weight_bits_are_no_cause_of_what_levels_explain() -> None:
    """A smaller t_max, the remedy for few bits, would add to such an error."""
    theirs = np.random.default_rng(0).standard_normal((200, 1))
    ours = np.rint(theirs)
    error = output_error("y", ours, theirs)
    causes = Causes(lambda: ["y (4)"])
    few = noise(error, ours, theirs, "inputs", causes)
    levels = noise(error, ours, theirs, "inputs", causes, Explained(error, 16))
    assert few is not None and few.message.endswith("few weight bits are left in y (4)")
    assert levels is not None and levels.message.endswith(
        "on 200 inputs, which so few levels explain"
    )
    assert levels.help is not None and "a larger --t-max" in levels.help


def test_few_weight_bits_ask_for_more() -> None:
    with pytest.warns(CompileWarning, match="few weight bits are left in"):
        (text,) = compiled(weight_bits=2, target="loihi").warnings
    assert "with more --weight-bits" in text
    assert not compiled(weight_bits=4, target="loihi").warnings
