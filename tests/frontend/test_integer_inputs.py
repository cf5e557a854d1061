"""Inputs of integers that are only cast, and inputs that nothing reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler import data
from qcompiler.cli.running import qrun
from qcompiler.explain.measure.onnx_reference import run_onnx as reference
from qcompiler.frontend.import_model import Preprocessing, import_model
from qcompiler.ir import Tensor, UnsupportedModel, evaluate, verify
from tests.support.onnx_models import model, run_onnx

KINDS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
IMAGE = "t = Transpose<perm=[0,3,1,2]>(x) f = Cast<to=1>(t) d = Div(f, s) y = Conv(d, w)"
WEIGHTS: dict[str, Any] = {"s": np.float32(255), "w": (2, 1, 3, 3)}


def numbers(kind: str, *shape: int) -> Any:
    """Numbers that a type holds, up to 255."""
    found = np.random.default_rng(0).integers(0, 256, shape)
    if kind == "bool":
        return found > 127
    return (found // 2 if kind == "int8" else found).astype(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_integers(kind: str) -> None:
    proto = model(f"{kind}[N,6,5,1] x", IMAGE, **WEIGHTS)
    graph = import_model(proto).graph
    verify(graph)
    batch = numbers(kind, 4, 6, 5, 1)
    (wanted,) = run_onnx(proto, {"x": batch})
    np.testing.assert_allclose(evaluate(graph, batch)[0], wanted, 1e-4, 1e-5)
    program = qcompiler.compile(proto, target="reference", calibration=batch, t_max=256)
    found = program.run(batch)
    assert np.abs(found - wanted).max() < 0.05 * np.ptp(wanted)
    np.testing.assert_array_equal(found, program.run(batch, engine="steps"))


@pytest.mark.parametrize(
    "body",
    [
        "a = Cast<to=6>(x) y = Cast<to=1>(a)",
        "a = CastLike(x, f) y = Relu(a)",
        "a = Cast<to=9>(x) y = Cast<to=1>(a)",
        "g = Greater(x, i) y = Cast<to=1>(g)",
        "g = LessOrEqual(x, i) b = Cast<to=1>(x) y = Where(g, b, f)",
        "g = Greater(x, i) w = Where(g, x, i) y = Cast<to=1>(w)",
        "a, b = Split<axis=1>(x) c = Cast<to=10>(b) d = Cast<to=1>(c) y = Relu(d)",
        "s = Shape(x) a = Flatten(x) b = Reshape(a, s) c = Identity(b) y = Cast<to=1>(c)",
    ],
)
def test_what_integers_may_go_through(body: str) -> None:
    proto = model("uint8[N,6] x", body, f=np.float32(2), i=np.array(100, np.uint8))
    batch = numbers("uint8", 5, 6) * (numbers("bool", 5, 6))
    (wanted,) = run_onnx(proto, {"x": batch})
    np.testing.assert_array_equal(evaluate(import_model(proto).graph, batch)[0], wanted)


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("uint8", "y = Add(x, x)", "Add of integers that depend on the data"),
        ("int16", "y = Cast<to=2>(x)", "Cast to uint8 is not supported"),
        ("int8", "y = Cast<to=2>(x)", "Cast to uint8 is not supported"),
        ("uint8", "y = Identity(x)", 'output "y" holds integers or booleans'),
        ("uint8", "g = Greater(x, i) y = Not(g)", 'output "y" holds integers or booleans'),
        ("uint8", "g = Greater(x, i) y = Where(g, x, i)", "holds integers or booleans"),
    ],
)
def test_integers_are_not_computed_with(kind: str, body: str, reason: str) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(model(f"{kind}[N,6] x", body, i=np.array(3, kind)))


def test_a_state_in_codes_is_real_numbers_between_their_quantisation() -> None:
    """Its refusal says so, and what it says compiles."""
    inner = "q = QuantizeLinear(x, s, z) j = Concat<axis=1>({}, q) y = Slice(j, b, e, a)"
    given: dict[str, Any] = {"s": np.float32(0.05), "z": np.int8(3)}
    given |= {"b": np.array([1]), "e": np.array([3]), "a": np.array([1])}
    with pytest.raises(UnsupportedModel, match="DequantizeLinear in front of this output"):
        import_model(model("float[N,4] x, int8[N,2] h", inner.format("h"), **given))
    state = inner.replace("y =", "n =").format("g")
    body = f"g = QuantizeLinear(h, s, z) {state} y = DequantizeLinear(n, s, z)"
    proto = model("float[N,4] x, float[N,2] h", body, **given)
    rng = np.random.default_rng(0)
    x, h = (rng.normal(size=(20, k)).astype(np.float32) for k in (4, 2))
    (wanted,) = run_onnx(proto, {"x": x, "h": h})
    np.testing.assert_allclose(evaluate(import_model(proto).graph, x, h)[0], wanted, atol=0.051)


def test_the_type_of_bytes_tells_their_range() -> None:
    proto = model("uint8[N,6,5,1] x", IMAGE, **WEIGHTS)
    graph = import_model(proto).graph
    assert graph.inputs[0].type == Tensor((6, 5, 1), range=(0.0, 255.0))
    program = qcompiler.compile(proto, target="reference", t_max=256)
    batch = numbers("uint8", 4, 6, 5, 1)
    (wanted,) = run_onnx(proto, {"x": batch})
    assert np.abs(program.run(batch) - wanted).max() < 0.05 * np.ptp(wanted)
    with pytest.raises(UnsupportedModel, match="preprocessing of input"):
        import_model(proto, Preprocessing(scale=(255,)))


@pytest.mark.parametrize(
    "body", ["y = Where(m, a, b)", "n = Not(m) o = Or(m, n) p = Xor(o, n) y = Where(p, a, b)"]
)
def test_masks_as_inputs(body: str) -> None:
    proto = model("bool[N,6] m", body, a=np.float32(3), b=np.float32(-1))
    batch = numbers("bool", 20, 6)
    program = qcompiler.compile(proto, target="reference", calibration=batch)
    np.testing.assert_allclose(program.run(batch), np.where(batch, 3, -1), atol=0.05)


def test_a_mask_and_a_value_are_a_product() -> None:
    proto = model("bool[N,6] m, float[N,6] x", "y = Where(m, x, z)", z=np.zeros(1, np.float32))
    with pytest.raises(UnsupportedModel, match="Where between values") as caught:
        import_model(proto)
    assert "--allow-products" in (caught.value.diagnostics[0].help or "")
    mask = numbers("bool", 200, 6)
    values = np.random.default_rng(1).uniform(-1, 1, (200, 6)).astype(np.float32)
    program = qcompiler.compile(
        proto, target="reference", calibration=(mask, values), t_max=64, allow_products=True
    )
    found = np.asarray(program.run(mask, values))
    assert np.abs(found - np.where(mask, values, 0)).max() < 0.1


def test_integers_lie_on_no_comparison() -> None:
    proto = model("uint8[N,6] x", "g = Greater(x, i) y = Cast<to=1>(g)", i=np.array(3, np.uint8))
    batch = np.random.default_rng(0).integers(0, 9, (50, 6)).astype(np.uint8)
    program = qcompiler.compile(proto, target="reference", calibration=batch)
    np.testing.assert_array_equal(program.run(batch), batch > 3)


def test_whole_numbers_become_booleans() -> None:
    body = "f = Cast<to=1>(x) r = Sub(one, f) y = Cast<to=9>(r) z = Where(y, a, r)"
    proto = model("int64[N,6] x", body, outputs="z", one=np.float32(1), a=np.float32(-1))
    batch = np.random.default_rng(0).integers(0, 2, (20, 6))
    (found,) = evaluate(import_model(proto).graph, batch.astype(np.float32))
    np.testing.assert_array_equal(found, np.where(batch, 0, -1))
    real = model("float[N,6] x", "b = Cast<to=9>(x) y = Where(b, a, x)", a=np.float32(-1))
    with pytest.raises(UnsupportedModel, match="Cast to bool") as caught:
        import_model(real)
    help_ = caught.value.diagnostics[0].help or ""
    assert "{id(classifier): {'zipmap': False, 'raw_scores': True}}" in help_
    said = model("float[N,6] x", "b = Greater(x, h) y = Where(b, a, x)", h=0.5, a=np.float32(-1))
    import_model(said)


UNUSED = ["int64[N,1] v", "float[N,4] v", "string[K] v", "int32[] v", "float[2,H,W] v", "bool[5] v"]


@pytest.mark.parametrize("unused", UNUSED)
def test_inputs_that_nothing_reads(unused: str) -> None:
    for inputs in (f"float[N,6] x, {unused}", f"{unused}, float[N,6] x"):
        proto = model(inputs, "y = MatMul(x, w) d = Identity(v)", w=(6, 3))
        imported = import_model(proto)
        assert [value.name for value in imported.graph.inputs] == ["x"]
        assert [outcome.kind for outcome in imported.report] == ["compiled", "removed"]


def test_an_input_of_which_only_the_shape_is_read() -> None:
    body = "h = MatMul(x, w) s = Shape(v) z = ConstantOfShape(s) y = Add(h, z)"
    proto = model("float[N,6] x, int64[N,3] v", body, w=(6, 3))
    batch = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=batch, t_max=256)
    (wanted,) = run_onnx(proto, {"x": batch, "v": np.zeros((5, 3), np.int64)})
    assert np.abs(program.run(batch) - wanted).max() < 0.05 * np.ptp(wanted)


@pytest.mark.parametrize("given", [True, False])
def test_data_may_hold_unused_inputs(
    given: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = model("int64[N,1] step, float[N,6] x", "y = MatMul(x, w)", w=(6, 3))
    path, images = tmp_path / "net.onnx", tmp_path / "data.npz"
    onnx.save(proto, path)
    batch = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    arrays: dict[str, Any] = {"x": batch}
    if given:
        arrays["step"] = np.ones((40, 1), np.int64)
    np.savez(images, **arrays)
    program = qcompiler.compile(path, target="reference", calibration=images)
    assert qcompiler.compile(path, target="reference", calibration=arrays).graph == program.graph
    np.testing.assert_array_equal(program.run(arrays), program.run(batch))
    found = data.read(images, (("x", (6,)),))
    wanted = run_onnx(proto, {"x": batch, "step": np.zeros((40, 1), np.int64)})[0]
    np.testing.assert_allclose(reference(path, found, {}), wanted, 1e-5)
    program.save(tmp_path / "program")
    assert qrun.main([str(tmp_path / "program"), str(images), "--against", str(path)]) == 0
    assert "agreement" in capsys.readouterr().out


def test_a_model_of_bytes_beside_its_program(tmp_path: Path) -> None:
    proto = model("uint8[N,6,5,1] x", f"{IMAGE} z = Flatten(y)", outputs="z", **WEIGHTS)
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    batch = numbers("uint8", 4, 6, 5, 1)
    found = reference(path, data.read(batch, (("x", (6, 5, 1)),)), {})
    np.testing.assert_array_equal(found, run_onnx(proto, {"x": batch})[0])
