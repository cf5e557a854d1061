"""Integers of the inputs, which the host computes with in front of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import DataError, InvalidModel, Tensor, UnsupportedModel, evaluate
from qcompiler.ir.ann import Feed
from qcompiler.ir.formats.parser import parse
from qcompiler.ir.formats.text import show
from qcompiler.ir.prologue import run_prologue, split_prologue
from qcompiler.ir.snn import Encode
from tests.support.onnx_models import ints, model, run_onnx

CONSTANTS: dict[str, Any] = {
    "E": (40, 4),
    "V": (24, 3),
    "D": (120, 3),
    "P": (9, 4),
    "offsets": np.array([0, 5, 10, 15, 20, 25]),
    "zero": np.array(0),
    "one": np.array(1),
    "five": np.array(5),
    "seven": np.array([-7]),
    "last": np.array(39),
    "axis": np.array(1),
    "all": np.array([-1]),
    "counts": np.arange(20),
    "begin": np.full((30, 1), 3),
    "first": np.array([0]),
    "columns": np.array([1]),
    "pads": np.array([0, 1, 0, 2]),
    "crops": np.array([0, -1, 0, -2]),
    "T": np.arange(40)[::-1],
    "pairs": np.arange(40).reshape(20, 2),
    "marks": np.arange(40) % 3 == 0,
    "rows": np.array([1, 0, 2, 0]),
    "row": np.full((1, 30), 7),
    "yes": np.full((30, 1), True),
    "sides": np.array([-1]),
    "L": (1, 3),
    "four": np.float32(4),
    "depth": np.array(6),
    "levels": np.array([-0.5, 2], np.float32),
    "bits": np.array([0, 1]),
    "H": (36, 3),
}
LOOK_UP = "e = Gather(E, i) f = Flatten(e) y = Gemm(f, V)"


def compare(proto: onnx.ModelProto, *data: Any) -> None:
    """The imported graph, whole and in its two parts, gives the numbers of onnxruntime."""
    names = [value.name for value in proto.graph.input]
    (wanted,) = run_onnx(proto, dict(zip(names, data, strict=True)))
    graph = import_model(proto, allow_products=True).graph
    np.testing.assert_allclose(evaluate(graph, *data)[0], wanted, 1e-4, 1e-4)
    prologue, network = split_prologue(graph)
    assert prologue is not None
    found = evaluate(network, *run_prologue(prologue, *data))
    np.testing.assert_allclose(found[0], wanted, 1e-4, 1e-4)
    again = parse(show(graph), {constant.name: constant.data for constant in graph.constants})
    assert again == graph


@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize(
    "body",
    [
        "i = Add(ids, offsets)",
        "j = Sub(last, ids) i = Abs(j)",
        "j = Mul(ids, five) k = Neg(j) i = Mod(k, last)",
        "j = Mul(ids, five) k = Neg(j) i = Mod<fmod=1>(k, last)",
        "j = Sub(ids, offsets) i = Div(j, seven)",
        "i = Clip(ids, one, five)",
        "j = Max(ids, five, one) i = Min(j, last)",
        "b = Less(ids, five) i = Where(b, last, ids)",
        "b = Equal(ids, one) c = Greater(ids, five) d = Or(b, c) n = Not(d) i = Where(n, ids, one)",
        "j = Sign(ids) k = Neg(j) i = Identity(k)",
        "m = ReduceMax<axes=[1]>(ids) n = ReduceMin<axes=[1]>(ids) d = Sub(m, n) i = Add(ids, d)",
    ],
)
def test_indices_are_computed(kind: str, body: str) -> None:
    known: dict[str, Any] = {
        name: value.astype(kind) if isinstance(value, np.ndarray) and name != "axis" else value
        for name, value in CONSTANTS.items()
    }
    proto = model(f"{kind}[N,6] ids", f"{body} {LOOK_UP}", 13, **known)
    compare(proto, np.random.default_rng(0).integers(0, 12, (30, 6)).astype(kind))


@pytest.mark.parametrize(
    "body",
    [
        # positions that pass over padding, as RoBERTa has them
        "q = Equal(ids, one) n = Not(q) m = Cast<to=6>(n) c = CumSum(m, axis) p = Mul(c, m) "
        "w = Cast<to=7>(p) i = Add(w, one) e = Gather(P, i) f = Flatten(e) y = Gemm(f, V)",
        "n = Cast<to=9>(ids) m = Cast<to=7>(n) c = CumSum<exclusive=1,reverse=1>(m, axis) "
        "e = Gather(P, c) f = Flatten(e) y = Gemm(f, V)",
        # a mask beside rows
        "q = Equal(ids, zero) n = Not(q) m = Cast<to=1>(n) u = Unsqueeze(m, all) w = Gather(E, ids)"
        " e = Mul(w, u) f = Flatten(e) y = Gemm(f, V)",
        # lengths
        "q = Equal(ids, zero) n = Not(q) m = Cast<to=7>(n) c = ReduceSum(m, sides) "
        "w = Cast<to=1>(c) y = Gemm(w, L)",
        # one-hot codes
        "u = Unsqueeze(ids, all) q = Equal(u, counts) m = Cast<to=1>(q) f = Flatten(m) "
        "y = Gemm(f, D)",
        "q = GreaterOrEqual(ids, five) a = Add(ids, one) w = Cast<to=1>(a) y = Where(q, w, r)",
        # tf2onnx compares integers as real numbers
        "r0 = Cast<to=1>(ids) b = Less(r0, four) n = Not(b) m = Cast<to=7>(n) p = Mul(m, ids) "
        f"i = Add(p, one) {LOOK_UP}",
        "s = Sub(ids, five) m = OneHot(s, depth, levels) f = Flatten(m) y = Gemm(f, H)",
        "m = OneHot<axis=1>(ids, depth, levels) f = Flatten(m) y = Gemm(f, H)",
        "m = OneHot(ids, depth, bits) r0 = Cast<to=1>(m) f = Flatten(r0) y = Gemm(f, H)",
    ],
)
def test_what_the_network_is_fed(body: str) -> None:
    proto = model("int64[N,6] ids", body, 13, r=np.float32(2), **CONSTANTS)
    compare(proto, np.random.default_rng(0).integers(0, 8, (30, 6)))


@pytest.mark.parametrize(
    "body",
    [
        # a first token, as one for each sample of the export, and as exporters spread it
        "c = Concat<axis=1>(begin, ids) e = Gather(E, c) r = ReduceSum(e, columns)",
        "s = Shape(ids) d = Slice(s, first, columns) h = Concat<axis=0>(d, columns) "
        "b = Expand(five, h) c = Concat<axis=-1>(ids, b, ids, b) "
        "e = Gather(E, c) r = ReduceSum(e, columns)",
        "m = Mul(ids, five) c = Concat<axis=1>(begin, m, ids, begin) j = Mod(c, last) "
        "e = Gather(E, j) r = ReduceSum(e, columns)",
        "q = Equal(ids, five) c = Concat<axis=1>(q, yes) r = Cast<to=1>(c)",
        "p = Pad(ids, pads, last) e = Gather(E, p) r = ReduceSum(e, columns)",
        "p = Pad(ids, crops) e = Gather(E, p) r = ReduceSum(e, columns)",
        'p = Pad<mode="reflect">(ids, pads) j = Add(p, one) e = Gather(E, j) '
        "r = ReduceSum(e, columns)",
        # tables of integers
        "t = Gather(T, ids) e = Gather(E, t) r = ReduceSum(e, columns)",
        "t = Gather(pairs, ids) f = Flatten(t) j = Sub(f, one) e = Gather(E, j) "
        "r = ReduceSum(e, columns)",
        "t = Gather(marks, ids) r = Cast<to=1>(t)",
    ],
)
def test_constants_beside_integers(body: str) -> None:
    proto = model("int64[N,6] ids", f"{body} y = Relu(r)", 13, **CONSTANTS)
    compare(proto, np.random.default_rng(0).integers(0, 12, (30, 6)))


def test_types_of_what_is_joined() -> None:
    body = f"i = Concat<axis=1>(ids, small) {LOOK_UP}"
    proto = model("int64[N,6] ids", body, 13, small=np.ones((30, 1), np.int32), **CONSTANTS)
    with pytest.raises(InvalidModel, match="takes no operands of int64, int32"):
        import_model(proto)


@pytest.mark.parametrize(
    "body",
    [
        "m = OneHot(ids, depth, bits) k = Mul(m, five) r0 = Cast<to=1>(k) f = Flatten(r0) "
        "y = Gemm(f, H)",
        f"m = OneHot(ids, depth, chosen) s = ReduceSum(m, columns) i = Add(s, one) {LOOK_UP}",
    ],
)
def test_one_hot_codes_of_integers(body: str) -> None:
    proto = model("int64[N,6] ids", body, 13, chosen=np.array([1, 4]), **CONSTANTS)
    compare(proto, np.random.default_rng(0).integers(0, 6, (30, 6)))


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ("m = OneHot(ids, depth, chosen) y = Cast<to=1>(m)", (1.0, 4.0)),
        ("q = Equal(ids, one) m = Where(q, last, five) y = Cast<to=1>(m)", (5.0, 39.0)),
        ("m = Pad(ids, pads, one) y = Cast<to=1>(m)", None),
    ],
)
def test_ranges_of_integers_that_are_chosen(body: str, ends: Any) -> None:
    proto = model("int64[N,6] ids", body, 13, chosen=np.array([1, 4]), **CONSTANTS)
    (fed,) = (n for n in import_model(proto).graph.nodes if isinstance(n.op, Feed))
    assert fed.result.type.range == ends  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body",
    [
        f"n = Not(m) c = Cast<to=7>(n) k = Neg(c) i = Add(k, five) {LOOK_UP}",
        "n = Not(m) c = Cast<to=7>(n) t = Reshape(c, flat) k = CumSum(t, axis) "
        "e = Gather(E, k) f = Flatten(e) y = Gemm(f, V)",
        f"n = Not(m) a = And(n, m) o = Or(a, n) i = Cast<to=7>(o) {LOOK_UP}",
        # the network reads what the host reads, too
        "n = Not(m) c = Cast<to=7>(n) e = Gather(E, c) f = Flatten(e) g = Gemm(f, V) "
        "r0 = Cast<to=1>(n) h = Gemm(r0, F) y = Add(g, h)",
    ],
)
def test_logic_of_booleans(body: str) -> None:
    known: dict[str, Any] = {"flat": np.array([0, 6]), "F": (6, 3)}
    proto = model("bool[N,6] m", body, 13, **known, **CONSTANTS)
    compare(proto, np.random.default_rng(0).integers(0, 2, (30, 6)).astype(bool))


def test_logic_that_the_network_reads_is_its_own() -> None:
    body = "n = Not(m) c = Cast<to=1>(n) k = Neg(c) y = Gemm(k, F)"
    graph = import_model(model("bool[N,6] m", body, 13, F=(6, 3))).graph
    assert split_prologue(graph) == (None, graph)


def test_real_numbers_that_are_cast() -> None:
    body = f"t = Cast<to=7>(x) i = Add(t, offsets) {LOOK_UP}"
    proto = model("float[N,6] x", body, 13, **CONSTANTS)
    compare(proto, np.random.default_rng(0).uniform(0, 9, (30, 6)).astype(np.float32))


def test_absent_steps_of_real_numbers() -> None:
    """Masking of Keras: only equality tells, and no code of few levels would."""
    body = (
        "q = Equal(x, zero) n = Not(q) m = Cast<to=1>(n) a = ReduceMax<axes=[2],keepdims=0>(m) "
        "y = Gemm(a, W)"
    )
    proto = model("float[N,6,3] x", body, 13, zero=np.float32(0), W=(6, 3))
    x = np.random.default_rng(0).standard_normal((30, 6, 3)).astype(np.float32) * 1e-3
    x[:, 3:] *= np.random.default_rng(1).integers(0, 2, (30, 3, 1))
    compare(proto, x)


def test_inputs_side_by_side() -> None:
    body = f"c = Concat<axis=1>(a, b) i = Add(c, offsets) {LOOK_UP}"
    proto = model("int64[N,2] a, int64[N,4] b", body, 13, **CONSTANTS)
    rng = np.random.default_rng(0)
    compare(proto, rng.integers(0, 9, (30, 2)), rng.integers(0, 9, (30, 4)))


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_integers_wrap_around(kind: str) -> None:
    """Hashes are products that leave the type, and single precision long before."""
    factor = {"int32": 1_640_531_527, "int64": 0x1E3779B97F4A7C15}[kind]
    known: dict[str, Any] = {"h": np.array(factor, kind), "n": np.array(40, kind)}
    body = f"g = Mul(ids, h) i = Mod(g, n) {LOOK_UP}"
    proto = model(f"{kind}[N,6] ids", body, 13, E=(40, 4), V=(24, 3), **known)
    data = np.random.default_rng(0).integers(0, 1 << 30, (200, 6)).astype(kind)
    (wanted,) = run_onnx(proto, {"ids": data})
    program = qcompiler.compile(proto, target="reference", calibration=data, t_max=64)
    assert np.sqrt(np.mean((program.run(data) - wanted) ** 2)) < 0.05 * wanted.std()


def test_a_program_with_offsets(tmp_path: Path) -> None:
    body = f"n = Gather(counts, ids) i = Add(n, offsets) {LOOK_UP}"
    proto = model("int64[N,6] ids", body, 13, **CONSTANTS)
    data = np.random.default_rng(0).integers(0, 15, (200, 6))
    program = qcompiler.compile(proto, target="reference", calibration=data, t_max=64)
    (wanted,) = run_onnx(proto, {"ids": data})
    found = program.run(data)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.05 * wanted.std()
    np.testing.assert_array_equal(found[:8], program.run(data[:8], engine="steps"))
    program.save(tmp_path / "p")
    np.testing.assert_array_equal(qcompiler.load(tmp_path / "p").run(data), found)
    with pytest.raises(DataError, match="the data for ids, frame 3: the index 41 is not in its"):
        program.run(np.where(np.arange(6)[:, None] == 3, 16, data[:6]))
    kinds = {outcome.op_type: outcome.kind for outcome in check_model(proto)}
    assert kinds["Add"] == kinds["Gather"] == "host"


def test_without_calibration_indices_stay_in_their_tables() -> None:
    proto = model("int64[N,6] ids", f"i = Add(ids, offsets) {LOOK_UP}", 13, **CONSTANTS)
    assert not qcompiler.compile(proto, target="reference", t_max=64).warnings


def test_masks_have_the_range_of_masks() -> None:
    """Calibration data without padding do not hide it."""
    body = "q = Equal(ids, zero) y = Where(q, a, b)"
    known: dict[str, Any] = {"a": np.float32(3), "b": np.float32(-1), "zero": np.array(0)}
    proto = model("int64[N,6] ids", body, 13, **known)
    fed = next(n for n in import_model(proto).graph.nodes if isinstance(n.op, Feed))
    assert fed.result.type == Tensor((6,), range=(0.0, 1.0))
    program = qcompiler.compile(proto, target="reference", calibration=np.ones((20, 6), int))
    code = next(node.op for node in program.graph.nodes if isinstance(node.op, Encode)).code
    assert code.zero == 0
    assert code.scale * (code.t_max - 1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        # what is joined with the network, or padded, is fed before
        "m = Greater(ids, five) f = Cast<to=1>(m) a = Relu(z) y = Concat<axis=1>(f, a)",
        "m = Greater(ids, five) f = Cast<to=1>(m) p = CenterCropPad<axes=[1]>(f, eight) "
        "y = Concat<axis=1>(p, z)",
        "m = Mul(ids, five) j = Concat<axis=1>(ids, m) f = Cast<to=1>(j) y = Add(f, twelve)",
    ],
)
@pytest.mark.parametrize("kind", ["int64", "int8", "bool"])  # of the data
def test_what_is_joined(body: str, kind: str) -> None:
    inputs = "int64[N,6] ids, float[N,6] z" if "z)" in body else "int64[N,6] ids"
    proto = model(inputs, body, 18, eight=ints(8), twelve=(12,), **CONSTANTS)
    rng = np.random.default_rng(0)
    z, ids = rng.standard_normal((60, 6)).astype(np.float32), rng.integers(0, 12, (60, 6))
    feeds: dict[str, Any] = {"ids": ids.astype(kind).astype(np.int64), "z": z}
    (wanted,) = run_onnx(proto, {value.name: feeds[value.name] for value in proto.graph.input})
    given = (ids.astype(kind), z)[: len(proto.graph.input)]
    program = qcompiler.compile(proto, target="reference", calibration=given, t_max=64)
    assert np.sqrt(np.mean((program.run(*given) - wanted) ** 2)) < 0.05 * wanted.std()


@pytest.mark.parametrize(
    "body",
    [
        "m = Greater(ids, five) y = Cast<to=1>(m)",
        "m = Greater(ids, five) y = Where(m, four, r)",
        "a = Add(ids, one) m = Mod(a, five) i = CumSum(m, none) e = Gather(P, i) y = Relu(e)",
        "c = Concat<axis=0>(row, ids) e = Gather(E, c) y = Relu(e)",
        "c = Pad(ids, rows, five) e = Gather(E, c) y = Relu(e)",
        "y = OneHot<axis=0>(ids, depth, levels)",
        "y = OneHot(ids, depth, levels)",
    ],
)
def test_a_batch_axis_behind(body: str) -> None:
    proto = model("int64[2,N] ids", body, 13, r=np.float32(2), none=np.array(0), **CONSTANTS)
    data = np.random.default_rng(0).integers(0, 4, (2, 30))
    (wanted,) = run_onnx(proto, {"ids": data})
    imported = import_model(proto)
    axis = imported.batch_axes["y"] or 0
    found = np.moveaxis(evaluate(imported.graph, data.T)[0], 0, axis)
    np.testing.assert_allclose(found, wanted, 1e-5, 1e-5)
    assert split_prologue(imported.graph)[0] is not None


@pytest.mark.parametrize("first", ["Add(ids, one)", "Identity(ids)"])
def test_long_chains_of_views(first: str) -> None:
    turned = (f"h{n + 1} = Transpose<perm=[0,2,1]>(h{n})" for n in range(1000))
    body = f"h0 = {first} {' '.join(turned)} f = Cast<to=1>(h1000) y = Relu(f)"
    import_model(model("int64[N,2,3] ids", body, 13, one=np.array(1)))


def test_values_that_double_again_and_again() -> None:
    doubled = (f"h{n + 1} = Concat<axis=1>(h{n}, h{n})" for n in range(22))
    body = f"h0 = Add(ids, one) {' '.join(doubled)} s = ReduceMax<axes=[1]>(h22) e = Gather(E, s)"
    proto = model("int64[N,4] ids", f"{body} y = Relu(e)", 13, **CONSTANTS)
    wrong = r"computes 33,554,438 numbers of each frame .* 16,777,216 of them are for %h22"
    with pytest.raises(UnsupportedModel, match=wrong) as told:
        qcompiler.compile(proto)
    assert told.value.diagnostics[0].nodes == ("h22_node",)


def test_frames_in_parts() -> None:
    doubled = (f"h{n + 1} = Concat<axis=1>(h{n}, h{n})" for n in range(18))
    body = f"h0 = Add(ids, one) {' '.join(doubled)} s = ReduceMax<axes=[1]>(h18) e = Gather(E, s)"
    proto = model("int64[N,4] ids", f"{body} y = Relu(e)", 13, **CONSTANTS)
    prologue, _ = split_prologue(import_model(proto).graph)
    assert prologue is not None
    ids = np.arange(36).reshape(9, 4)
    (rows,) = run_prologue(prologue, ids)
    np.testing.assert_array_equal(rows[:, 0], prologue.nodes[-1].arrays[0][ids[:, 3] + 1])
    ids[7] = 40
    with pytest.raises(DataError, match="frame 12: the index 41 is not in its table"):
        run_prologue(prologue, ids, first=5)


def test_what_only_the_host_reads() -> None:
    """Casts and views are the network's only if it reads what they give, too."""
    body = (
        "c = Cast<to=7>(x) u = Unsqueeze(c, all) e = Gather(E, u) f = Flatten(e) g = Gemm(f, V) "
        "b = Greater(c, five) r0 = Cast<to=1>(b) h = Gemm(r0, F) y = Add(g, h)"
    )
    proto = model("float[N,6] x", body, 13, F=(6, 3), **CONSTANTS)
    kinds = {one.name: one.kind for one in check_model(proto)}
    host = [f"{name}_node" for name in "cueb"]
    assert kinds == {name: "host" if name in host else "compiled" for name in kinds}


@pytest.mark.parametrize("bound", [-7, np.iinfo(np.int64).max])
def test_far_bounds_without_calibration(bound: int) -> None:
    body = f"b = Greater(ids, c) m = Cast<to=7>(b) k = Clip(ids, zero, c) i = Min(m, k) {LOOK_UP}"
    proto = model("int64[N,6] ids", body, 13, c=np.array(bound), **CONSTANTS)
    qcompiler.compile(proto, target="reference")


def compare_prologue(proto: onnx.ModelProto, data: Any) -> None:
    """Both parts of the imported graph give the numbers of onnxruntime, for any integers."""
    (wanted,) = run_onnx(proto, {proto.graph.input[0].name: data})
    prologue, network = split_prologue(import_model(proto).graph)
    assert prologue is not None
    found = evaluate(network, *run_prologue(prologue, data))
    np.testing.assert_allclose(found[0], wanted, 1e-4, 1e-4)


@pytest.mark.parametrize("to", [2, 3, 4, 5, 6, 12])  # unsigned and signed, of 8, 16 and 32 bits
@pytest.mark.parametrize("word", ["Identity(ids)", "Add(ids, one)"])
def test_casts_to_fewer_bits_wrap_around(to: int, word: str) -> None:
    body = f"a = {word} c = Cast<to={to}>(a) w = Cast<to=7>(c) i = Mod(w, last) {LOOK_UP}"
    proto = model("int64[N,6] ids", body, 13, **CONSTANTS)
    compare_prologue(proto, np.random.default_rng(0).integers(-(1 << 62), 1 << 62, (30, 6)))


@pytest.mark.parametrize(
    "body",
    [
        "r0 = Cast<to=1>(ids) q = Equal(r0, far) y = Cast<to=1>(q)",
        "r0 = Cast<to=11>(ids) q = Equal(r0, wide) y = Cast<to=1>(q)",
        "r0 = Cast<to=1>(ids) g = Cast<to=11>(r0) q = Equal(g, wide) y = Cast<to=1>(q)",
        "a = Add(ids, one) r0 = Cast<to=1>(a) w = Cast<to=7>(r0) i = Mod(w, last) " + LOOK_UP,
        "a = Add(ids, one) r0 = Cast<to=10>(a) w = Cast<to=7>(r0) i = Mod(w, last) " + LOOK_UP,
    ],
)
def test_casts_to_real_numbers_round(body: str) -> None:
    base = 1 << 11 if "to=10" in body else 1 << 24
    known: dict[str, Any] = {"far": np.float32(1 << 24), "wide": np.float64(1 << 24)}
    proto = model("int64[N,6] ids", body, 13, **known, **CONSTANTS)
    compare_prologue(proto, base + np.random.default_rng(0).integers(-4, 5, (30, 6)))


def test_integers_that_the_host_does_not_hold() -> None:
    known: dict[str, Any] = {"n": np.array(7, np.uint64), **CONSTANTS}
    with pytest.raises(UnsupportedModel, match="arithmetic on uint64"):
        import_model(model("uint64[N,6] ids", f"i = Mod(ids, n) {LOOK_UP}", 13, **known))
    body = f"b = Greater(ids, n) i = Cast<to=7>(b) {LOOK_UP}"
    prologue, _ = split_prologue(import_model(model("uint64[N,6] ids", body, 13, **known)).graph)
    assert prologue is not None
    with pytest.raises(DataError, match="the number 9223372036854775808 is beyond those of int64"):
        run_prologue(prologue, np.full((2, 6), 1 << 63, np.uint64))


def test_sums_and_casts_wrap_around() -> None:
    """As those of numpy; versions of onnxruntime differ in sums that leave the type."""
    body = (
        "h = Mul(ids, factor) w = Cast<to=6>(h) c = CumSum(w, axis) "
        f"s = ReduceSum<keepdims=1>(w, sides) a = Add(c, s) i = Mod(a, n) {LOOK_UP}"
    )
    known: dict[str, Any] = {"factor": np.array(0x9E3779B97F), "n": np.array(40, np.int32)}
    proto = model("int64[N,6] ids", body, 13, **known, **CONSTANTS)
    data = np.random.default_rng(0).integers(0, 1 << 20, (30, 6))
    narrow = (data * 0x9E3779B97F).astype(np.int32)
    total = narrow.sum(1, dtype=np.int32, keepdims=True)
    indices = np.mod(narrow.cumsum(1, dtype=np.int32) + total, 40)
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    wanted = arrays["E"][indices].reshape(30, 24) @ arrays["V"]
    np.testing.assert_allclose(evaluate(import_model(proto).graph, data)[0], wanted, 1e-4, 1e-4)


def test_fractions_are_told_wherever_integers_are_read() -> None:
    proto = model("int64[N,6] ids", "b = Greater(ids, five) y = Cast<to=1>(b)", 13, **CONSTANTS)
    data = np.where(np.arange(9)[:, None] == 2, 0.5, np.ones((9, 6)))
    with pytest.raises(DataError, match=r"frame 2: the index 0\.5 is no whole number"):
        qcompiler.compile(proto, target="reference", calibration=data)


@pytest.mark.parametrize(
    "body",
    ["i = Add(ids, small)", "n = Not(ids) i = Cast<to=7>(n)", "b = Equal(ids, one) i = Neg(b)"],
)
def test_types_that_onnx_does_not_take(body: str) -> None:
    known: dict[str, Any] = {"small": np.array(1, np.int32)}
    with pytest.raises(InvalidModel, match="takes no operands of"):
        import_model(model("int64[N,6] ids", f"{body} {LOOK_UP}", 13, **known, **CONSTANTS))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("i = Div(ids, ids)", "Div of integers by one that depends on the data"),
        ("i = Mod(ids, ids)", "Mod of integers by one that depends on the data"),
        ("o = Relu(ids) i = Add(o, o)", "Relu of integers that depend"),
        ("h = Cast<to=1>(ids) r = Relu(h) i = OneHot(r, depth, levels)", "OneHot of what"),
        ('t = Cast<to=6>(ids) i = BitShift<direction="LEFT">(t, t)', "BitShift"),
    ],
)
def test_what_is_not_computed(body: str, reason: str) -> None:
    proto = model("int64[N,6] ids", f"{body} {LOOK_UP}", 13, **CONSTANTS)
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(proto)
