"""`qrun --explain` finds planted faults, one of every kind, and agrees where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import api, data
from qcompiler.backends.program.program import Program
from qcompiler.cli.running import qrun
from qcompiler.explain.causes import verdict
from qcompiler.explain.diagnosis import TOLERATED, explain
from qcompiler.explain.explanation import Explanation
from qcompiler.explain.measure import side_by_side
from qcompiler.explain.measure.layer_error import decompose
from qcompiler.explain.measure.onnx_reference import run_onnx as run_model
from qcompiler.explain.measure.pairing import match_layers
from qcompiler.explain.measure.real_network import real_network
from qcompiler.explain.page import page
from qcompiler.ir import ProgramError, evaluate
from qcompiler.passes.slicing.slices import unsplit_name
from tests.support.onnx_models import model, run_onnx
from tests.support.planted_faults import CorruptIntegers, ShrinkRange, pipeline
from tests.support.random_networks import REFERENCE
from tests.support.zoo import trained

Array = np.ndarray[Any, Any]
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
MODEL, TEST = DIGITS / "digits.onnx", DIGITS / "digits_test.npz"
FIRST, SECOND = "/relu1/Relu_output_0", "/relu2/Relu_output_0"


def compiled(**options: Any) -> Program:
    calibration = DIGITS / "digits_calibration.npz"
    given = {"target": "reference", "scale_values": (16,), "calibration": calibration}
    return qcompiler.compile(MODEL, **{**given, **options})


def digits(program: Program, change: Callable[[Array], Array] = lambda x: x) -> data.Data:
    """Test images without labels."""
    found = data.read(TEST, api.inputs_of(program.graph))
    return data.Data((change(found.arrays[0].astype(np.float32)),))


def explained(program: Program, change: Callable[[Array], Array] = lambda x: x) -> Explanation:
    return explain(program, MODEL, digits(program, change))


@pytest.mark.parametrize("options", [{}, {"target": "loihi"}, {"effort": 1}, {"t_max": 32}])
def test_a_healthy_network_agrees(options: dict[str, Any]) -> None:
    found = explained(compiled(**options))
    assert found.first is found.worst is None
    assert found.changed <= TOLERATED
    assert found.notes == ()
    assert found.largest.error < 0.2
    assert [layer.name for layer in found.layers] == ["image", FIRST, SECOND, "scores"]


@pytest.mark.parametrize(
    ("layer", "cause", "options", "remedy"),
    [
        (FIRST, verdict.SATURATED, {"passes": pipeline(ShrinkRange(FIRST))}, "--calibration"),
        (SECOND, verdict.SATURATED, {"passes": pipeline(ShrinkRange(SECOND))}, "--calibration"),
        ("image", verdict.LEVELS, {"passes": pipeline(t_max=2, levels=2)}, "--t-max 4"),
        (FIRST, verdict.LEVELS, {"passes": pipeline(ShrinkRange(FIRST, 30.0))}, "--calibration"),
        (SECOND, verdict.LEVELS, {"calibration": None}, "--calibration on typical data"),
        (
            SECOND,
            verdict.WEIGHTS,
            {"passes": pipeline(CorruptIntegers(SECOND, "weights", 1))},
            "--effort 1",
        ),
        (
            FIRST,
            verdict.BIAS,
            {"passes": pipeline(CorruptIntegers(FIRST, "bias", 8))},
            "custom passes",
        ),
        (FIRST, verdict.DEAD, {"passes": pipeline(CorruptIntegers(FIRST, "dead", 3))}, "prunes"),
        (SECOND, verdict.DEAD, {"passes": pipeline(CorruptIntegers(SECOND, "dead", 8))}, "prunes"),
        ("scores", verdict.TIES, {"passes": pipeline(output_t_max=4)}, "output_t_max=64"),
    ],
)
def test_a_planted_fault_is_found(
    layer: str, cause: str, options: dict[str, Any], remedy: str
) -> None:
    found = explained(compiled(**options))
    assert found.first is not None
    assert (found.first.layer, found.first.cause) == (layer, cause)
    assert remedy in found.first.remedy
    assert found.changed > TOLERATED


@pytest.mark.parametrize(
    "options", [{"t_max": 2, "levels": 2}, {"output_t_max": 4}], ids=["input", "output"]
)
def test_a_step_of_the_pipeline_that_is_told_helps(options: dict[str, Any]) -> None:
    """In the place of the program's own, or before normalize: `--passes` is the whole pipeline."""
    program = compiled(passes=pipeline(**options))
    some = data.Data((digits(program).arrays[0][:300],))
    before, text = explain(program, MODEL, some), program.manifest["pipeline"]
    assert before.first is not None
    found = re.search(r"--info prints, (but|and) (\S+\{.*\}) (before|in)", before.first.remedy)
    assert found is not None
    own = re.escape(found[2].partition("{")[0]) + r"\{[^}]*\}"
    if found[1] == "but":
        finer, steps = re.subn(own, found[2], text)
    else:
        finer, steps = re.subn(r"\bnormalize\b", f"{found[2]},normalize", text)
    assert steps == 1
    assert explain(compiled(passes=finer), MODEL, some).changed < before.changed


def test_few_weight_bits_are_found() -> None:
    """They spoil all layers, so any may be the first.

    The first one's weights change 5 to 8 answers of 540, where 5.4 are tolerated: less than the
    standard error of such a count away. Parallel synapses make up for a part in small layers.
    """
    found = explained(compiled(passes=pipeline(weight_bits=3)))
    assert found.first is not None
    assert found.first.layer in (FIRST, SECOND, "scores") and found.first.cause == verdict.WEIGHTS
    assert "--weight-bits 8" in found.first.remedy
    assert found.changed > TOLERATED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x / 16, "already"),
        (lambda x: x * 255, "divided by 255"),
        (lambda x: 0 * x, "every number of the data is 0"),
        (lambda x: x * 40000, "give data of that range"),
    ],
)
def test_wrong_input_is_found_without_labels(change: Callable[[Array], Array], words: str) -> None:
    found = explained(compiled(), change).first
    assert found is not None
    assert (found.layer, found.cause) == ("image", verdict.INPUT)
    assert words in f"{found.detail}; {found.remedy}"


COLOURED = """
    c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p)
    y = Gemm<transB=1>(f, v, d)
"""


def coloured(folder: Path) -> tuple[Path, Array, Array]:
    """A network of colour images in 0..1, images, and what it answers to them."""
    rng = np.random.default_rng(3)
    weights = {"w": rng.normal(0, 0.5, (16, 3, 3, 3)), "b": rng.normal(0, 0.3, 16)}
    weights |= {"v": rng.normal(0, 1, (5, 16)), "d": np.zeros(5)}
    arrays: dict[str, Any] = {name: array.astype(np.float32) for name, array in weights.items()}
    tint = rng.random((300, 3, 1, 1))
    images = (0.5 * tint + 0.5 * rng.random((300, 3, 8, 12))).astype(np.float32)
    (scores,) = run_onnx(model("float[N,3,8,12] x", COLOURED, **arrays), {"x": images})
    arrays["d"] = -scores.mean(axis=0)  # all classes occur
    proto = model("float[N,3,8,12] x", COLOURED, **arrays)
    onnx.save(proto, folder / "colour.onnx")
    (scores,) = run_onnx(proto, {"x": images})
    return folder / "colour.onnx", images, scores.argmax(axis=1)


@pytest.mark.parametrize(
    ("change", "options", "remedy"),
    [
        (lambda x: x[:, ::-1], {}, "compile with --reverse-input-channels"),
        (lambda x: x, {"reverse_input_channels": True}, "without --reverse-input-channels"),
        (lambda x: x * 255, {}, "--scale-values 255"),
        (lambda x: x, {"scale_values": (255,)}, "without --scale-values 255"),
        (
            lambda x: x * [[[0.229]], [[0.224]], [[0.225]]] + [[[0.485]], [[0.456]], [[0.406]]],
            {},
            "--mean-values 0.485,0.456,0.406 --scale-values 0.229,0.224,0.225",
        ),
        (
            lambda x: (
                255 * (x * [[[0.229]], [[0.224]], [[0.225]]])
                + [[[123.675]], [[116.28]], [[103.53]]]
            ),
            {"scale_values": (255,)},
            "--mean-values 123.675,116.28,103.53 --scale-values 58.395,57.12,57.375",
        ),
        (lambda x: 127.5 * (x + 1), {}, "--mean-values 127.5 --scale-values 127.5"),
        (
            lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape),
            {},
            "--layout states",
        ),
        (lambda x: 1 - x, {}, "inverted images"),
    ],
)
def test_wrong_input_is_found_by_labels(
    change: Callable[[Array], Array], options: dict[str, Any], remedy: str, tmp_path: Path
) -> None:
    """Calibrated with the same wrong data, so that program and model agree on nonsense."""
    path, right, labels = coloured(tmp_path)
    images = change(right).astype(np.float32)
    program = qcompiler.compile(path, target="reference", calibration=images, t_max=64, **options)
    found = explain(program, path, data.Data((images,), labels)).first
    assert found is not None
    assert (found.layer, found.cause) == ("x", verdict.INPUT)
    assert remedy in found.remedy


def test_right_input_is_not_called_wrong(tmp_path: Path) -> None:
    path, images, labels = coloured(tmp_path)
    program = qcompiler.compile(path, target="reference", calibration=images, t_max=64)
    wrong = (labels + 1) % 5
    for given in (np.where(np.arange(len(labels)) % 3, labels, wrong), wrong):  # a third are, all
        found = explain(program, path, data.Data((images,), given)).first
        assert found is None or found.cause != verdict.INPUT


@pytest.mark.parametrize(
    "name",
    ["linear bottleneck", "residual MLP", "U-Net, linear", "two inputs, two outputs", "SiLU"],
)
@pytest.mark.parametrize("effort", [0, 1])
def test_decompositions_lead_from_the_real_layer_to_the_levels(
    name: str, effort: int, tmp_path: Path
) -> None:
    """Before it is cut and rounded a value is within half a level of what it becomes."""
    network, path = trained(name), tmp_path / "net.onnx"
    onnx.save(network.proto, path)
    names = ("x", "x2")
    program = qcompiler.compile(
        path,
        target="reference",
        calibration=dict(zip(names, network.calibration, strict=False)),
        effort=effort,
        allow_products=True,
    )
    real = real_network(path, program)
    layers = match_layers(program, real, path)
    both = side_by_side.SideBySide(program, real, layers, tuple(x[:40] for x in network.held_out))
    feeds = dict(zip(names, both.data, strict=False))
    for found, ours in zip(run_onnx(network.proto, feeds), evaluate(real, *both.data), strict=True):
        np.testing.assert_allclose(ours.reshape(found.shape), found, 1e-3, 1e-4)
    for index, layer in enumerate(layers):
        steps = decompose(both, index)
        (_, cut), (_, ours) = steps.steps[-2:]
        np.testing.assert_array_equal(ours, both.spiking(layer))
        zero = layer.code.zero
        exact = np.clip(steps.exact, -zero, layer.tops - zero)
        # the weights of slices are rounded one by one
        most = (0.5 if all(len(part.nodes) == 1 for part in layer.parts) else 1.0) + 1e-3
        assert np.abs(exact - ours / both.step(layer)).max() <= most
        living = [n for n in range(cut.shape[1]) if n not in steps.dead]
        far = np.abs(cut - ours) / both.step(layer)
        assert far[:, living].max() <= most
    assert both.hybrid_scores(len(layers) - 1)[-1].shape == both.values[both.scores[-1]].shape


@pytest.mark.parametrize("way", ["how=slices", "how=digits", "how=digits longest=9"])
def test_pieces_of_an_output_are_one_layer(way: str) -> None:
    passes = REFERENCE.replace("assign-windows", f"split-windows{{{way}}},assign-windows")
    program = compiled(passes=passes, t_max=16)
    assert len(program.report().populations) > 7
    real = real_network(MODEL, program)
    layers = match_layers(program, real, MODEL)
    both = side_by_side.SideBySide(program, real, layers, digits(program).arrays)
    assert both.scores == ("scores",) and layers[-1].name == "scores"
    assert layers[-1].code.t_max == 64
    np.testing.assert_allclose(both.spiking(layers[-1]), program.run(*both.data), 1e-5)
    beyond = np.abs(both.potential(layers[-1]) - both.spiking(layers[-1])) / both.step(layers[-1])
    assert np.median(beyond) < 0.5 and np.mean(beyond > 0.51) < 0.01  # but for saturated ones


def test_scores_are_in_the_units_of_the_model(tmp_path: Path) -> None:
    """Those of elements of unlike scale, each of which has a code of its own, too."""
    body = "a = Gemm(x, V) r = Relu(a) l = Gemm(r, W) y = Mul(l, scale)"
    weights: dict[str, Any] = {"V": (3, 16), "W": (16, 3)}
    weights["scale"] = np.array([1000, 1, 1e-3], np.float32)
    path, x = tmp_path / "net.onnx", np.random.default_rng(0).random((60, 3), np.float32)
    onnx.save(proto := model("float[N,3] x", body, **weights), path)
    program = qcompiler.compile(path, target="loihi", calibration=x)
    real = real_network(path, program)
    both = side_by_side.SideBySide(program, real, match_layers(program, real, path), (x,))
    (wanted,) = run_onnx(proto, {"x": x})
    np.testing.assert_allclose(both.values[both.scores[0]], wanted, 1e-3)
    np.testing.assert_allclose(both.hybrid_scores(len(both.layers) - 1)[0], program.run(x), 1e-3)


def test_scales_of_channels_are_remembered(tmp_path: Path) -> None:
    """Equalised, but with weights rounded to nearest, so that layers are what they were."""
    text = REFERENCE.replace("normalize", "equalize{effort=1},normalize")
    text = text.replace("quantize", "quantize{effort=0}")
    compiled(passes=text, weight_bits=12).save(tmp_path / "p")
    program = qcompiler.load(tmp_path / "p")
    scales = program.manifest["channel_scales"]
    assert {FIRST, SECOND} <= scales.keys()  # and the pools behind them
    assert max(scales[FIRST]) > 1.2 * min(scales[FIRST])
    found = explained(program)
    assert found.first is None
    assert all(layer.parts["weights"] < 0.01 for layer in found.layers)
    program.manifest["channel_scales"] = {FIRST: scales[FIRST][1:]}
    with pytest.raises(ProgramError, match="do not fit"):
        explained(program)
    program.manifest["channel_scales"] = [1]
    with pytest.raises(ProgramError, match="damaged"):
        explained(program)


def test_channels_of_parts_are_remembered(tmp_path: Path) -> None:
    """A value of which some channels are apart is one layer, whose neurons are all of theirs."""
    compiled(t_max=6).save(tmp_path / "p")
    program = qcompiler.load(tmp_path / "p")
    parts = program.manifest["channel_parts"]
    changed = {unsplit_name(name) for name in parts}
    found = explained(program)
    assert found.first is None
    assert changed <= {layer.name for layer in found.layers}
    rows = program.report().populations
    total = sum(row.neurons for row in rows if row.kind != "first spike")
    assert sum(layer.neurons for layer in found.layers) == total
    name = next(iter(parts))
    for wrong, message in (
        ([9999], "do not fit"),
        ([-1], "do not fit"),
        (["0"], "damaged"),
        (5, "damaged"),
        (parts[name][:-1], "do not fit"),
    ):
        program.manifest["channel_parts"] = {**parts, name: wrong}
        with pytest.raises(ProgramError, match=message):
            explained(program)
    program.manifest["channel_parts"] = [1]
    with pytest.raises(ProgramError, match="damaged"):
        explained(program)
    for wrong in ({}, {name: [*parts[name][1:], parts[name][0]]}):
        program.manifest["channel_parts"] = wrong
        with pytest.raises(ProgramError, match="do not fit"):
            explained(program)


def test_pixels_are_compared_by_their_variance(tmp_path: Path) -> None:
    network, path = trained("U-Net, nearest"), tmp_path / "net.onnx"
    onnx.save(network.proto, path)
    for levels, agree in ((64, True), (3, False)):
        calibration = network.calibration[0]
        program = qcompiler.compile(path, target="reference", calibration=calibration, t_max=levels)
        found = explain(program, path, data.Data(network.held_out))
        assert not found.classes
        assert (found.first is None) == agree


@pytest.mark.parametrize("damaged", [None, 5, "x"])
def test_a_damaged_model_entry_is_named(damaged: Any) -> None:
    program = compiled(t_max=2, effort=0)
    program.manifest["model"] = damaged
    with pytest.raises(ProgramError, match="the manifest's model is damaged"):
        explained(program)


@pytest.mark.parametrize("last", ["Softmax", "ArgMax", "Identity"])
@pytest.mark.parametrize("frames", [1, 100])
def test_what_the_host_does_is_left_out(last: str, frames: int, tmp_path: Path) -> None:
    proto = onnx.load(MODEL)
    proto.graph.node.append(onnx.helper.make_node(last, ["scores"], ["last"], name="last"))
    kind = onnx.TensorProto.INT64 if last == "ArgMax" else onnx.TensorProto.FLOAT
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info("last", kind, None))
    if last == "ArgMax":
        proto.graph.node[-1].attribute.append(onnx.helper.make_attribute("axis", 1))
    onnx.save(proto, tmp_path / "net.onnx")
    program = qcompiler.compile(
        tmp_path / "net.onnx",
        target="reference",
        scale_values=(16,),
        calibration=DIGITS / "digits_calibration.npz",
    )
    given = data.read(TEST, api.inputs_of(program.graph)).head(frames)
    found = explain(program, tmp_path / "net.onnx", given)
    assert found.first is None
    assert found.notes == ()


def test_a_model_that_is_read_otherwise_than_it_runs_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_wrongly(*given: Any) -> Array:
        scores: Array = run_model(*given)
        return 1.1 * scores

    monkeypatch.setattr("qcompiler.explain.diagnosis.run_onnx", run_wrongly)
    (note,) = explained(compiled()).notes
    assert "a bug in qcompiler" in note


def test_large_networks_get_fewer_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "_MEMORY", 1 << 22)
    found = explained(compiled())
    assert 1 < found.frames < found.given == 540


def test_another_model_is_named(tmp_path: Path) -> None:
    other = onnx.load(MODEL)
    for tensor in other.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.ndim == 4 and array.shape[1] > 1:  # of the second convolution
            noisy = array + np.random.default_rng(0).normal(0, array.std(), array.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    onnx.save(other, tmp_path / "other.onnx")
    program = compiled()
    found = explain(program, tmp_path / "other.onnx", digits(program))
    assert found.notes == ("other.onnx is not the file that was compiled",)
    assert found.worst is not None and found.worst.layer == SECOND
    assert found.worst.remedy == "compile other.onnx: the program was compiled from another model"


def test_a_model_that_does_not_match_gets_a_sentence(tmp_path: Path) -> None:
    network = trained("residual MLP")
    onnx.save(network.proto, tmp_path / "net.onnx")
    program = compiled()
    with pytest.raises(ProgramError, match="does not match the program") as caught:
        explain(program, tmp_path / "net.onnx", digits(program))
    assert "give the model that was compiled" in str(caught.value)


class Page(HTMLParser):
    """Notes what a page is made of, and that its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        self.attributes |= {n for n, value in attrs if not (value or "").startswith("#")}
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_trusts_no_name(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\"&"
    proto = onnx.load(MODEL)
    for node in proto.graph.node:
        node.output[:] = [evil if name == FIRST else name for name in node.output]
        node.input[:] = [evil if name == FIRST else name for name in node.input]
        node.name = f"<img src=x onerror=alert(1)> {node.name}"
    onnx.save(proto, tmp_path / "evil.onnx")
    program = qcompiler.compile(
        tmp_path / "evil.onnx", target="reference", scale_values=(16,), t_max=2
    )
    text = page(explain(program, tmp_path / "evil.onnx", digits(program)), "<b>", "<i>&")
    found = Page()
    found.feed(text)
    found.close()
    assert not found.open
    assert not found.seen & {"script", "img", "b>", "link", "iframe"}
    assert not found.attributes & {"src", "href", "onerror", "xlink:href"}
    assert "&lt;script&gt;alert(" in text
    assert len(text) < 1 << 20


def run(capsys: pytest.CaptureFixture[str], *line: Any) -> tuple[int, str, str]:
    try:
        status = qrun.main([str(word) for word in line])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    return (status, *capsys.readouterr())


def test_the_command_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "p"
    compiled(passes=pipeline(t_max=2, levels=2)).save(program)
    status, out, err = run(capsys, program, TEST, "--against", MODEL, "--explain")
    assert (status, err) == (0, "")
    lines = {line[:12].strip(): line[12:] for line in out.splitlines()}
    assert lines["first at"].startswith("image, which changes the prediction for a further 6.")
    assert "too few levels: 2 levels" in out
    assert "remedy      compile with more levels, --t-max 4" in out
    where = tmp_path / "why.html"
    status, out, _ = run(capsys, program, TEST, "--against", MODEL, "--json", "--page", where)
    found = json.loads(out)["explain"]
    assert status == 0
    assert not found["agree"]
    assert found["first"]["cause"] == verdict.LEVELS
    assert [layer["name"] for layer in found["layers"]] == ["image", FIRST, SECOND, "scores"]
    assert found["apart"] == found["layers"][-1]["apart"]
    assert where.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "why.html"]


def test_the_command_refuses_what_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "p"
    compiled().save(program)
    status, _, err = run(capsys, program, TEST, "--explain")
    assert status == 2
    assert "--against MODEL.onnx" in err
    folder = tmp_path / "folder.html"
    folder.mkdir()
    status, _, err = run(capsys, program, TEST, "--against", MODEL, "--page", folder)
    assert status == 1
    assert "not a regular file: choose another --page" in err
    mine = tmp_path / "mine.html"
    mine.write_bytes(MODEL.read_bytes())
    status, _, err = run(capsys, program, TEST, "--against", mine, "--page", mine)
    assert status == 1
    assert "holds the model: choose another --page" in err
    inside = program / "page.html"
    status, _, err = run(capsys, program, TEST, "--against", MODEL, "--page", inside)
    assert status == 1
    assert "is in the program directory: choose another --page" in err
    assert not inside.exists()
    mine.write_bytes(MODEL.read_bytes()[:1000])
    status, _, err = run(capsys, program, TEST, "--against", mine, "--explain")
    assert status == 1
    assert err.count("error:") == 1
    assert "Traceback" not in err


def test_outputs_in_unlike_units_do_not_agree_because_the_largest_does(tmp_path: Path) -> None:
    """Its element is the largest in every frame, whatever happens to the others."""
    rng = np.random.default_rng(0)
    proto = model(
        "float[N,4] x",
        "y = Gemm <transB = 1> (x, w, b)",
        w=(rng.standard_normal((3, 4)) * [[300], [0.01], [0.02]]).astype(np.float32),
        b=np.array([5000, 0.5, 0.1], np.float32),
    )
    onnx.save(proto, tmp_path / "net.onnx")
    x = rng.standard_normal((100, 4)).astype(np.float32)
    program = qcompiler.compile(
        tmp_path / "net.onnx",
        target="reference",
        calibration=x,
        passes=pipeline(CorruptIntegers("y", "dead", 2)),
    )
    found = explain(program, tmp_path / "net.onnx", data.Data((x,)))
    assert not found.classes
    assert found.first is not None and found.first.layer == "y"
