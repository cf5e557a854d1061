"""Loop, Scan and If: exact step by step, or refused in bounded time."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import InvalidModel, UnsupportedModel, evaluate
from tests.support.onnx_models import agrees, ints, model, run_onnx

FLAT, ROWS = "float[N,4] x", "float[N,5,4] x"
TRUE = np.array(True)
CELL = "a = MatMul(s, w) b = Add(a, {}) r = Relu(b)"
HEAD = "(int64 t, bool g, float s) => (bool go, float r)"
STEP = "{ go = Identity(g) " + CELL.format("s") + " }"
STACK = (
    "Loop<body = steps (int64 t, bool g, float s) => (bool go, float r, float e)"
    " { one = Constant<value = int64 {1}>() go = Identity(g) p = Gather<axis=1>(x, t) "
    + CELL.format("p")
    + " e = Neg(b) }>"
)
SCAN = (
    "Scan<num_scan_inputs=1, scan_input_axes=[1], {}body = steps (float s, float p)"
    " => (float r, float e) {{ " + CELL.format("p") + " e = Identity(b) }}>(h, x)"
)

SUM = "h = ReduceSum<keepdims=0>(x, i) "


def spelt(inputs: str, body: str, **weights: Any) -> onnx.ModelProto:
    """A model whose bodies leave shapes open, which the text form cannot do."""
    proto = model(inputs, body, 17, **weights)
    graphs = [proto.graph]
    while graphs:
        graph = graphs.pop()
        if graph is not proto.graph:
            for value in (*graph.input, *graph.output):
                if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
                    value.type.tensor_type.ClearField("shape")
        held = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
        graphs.extend(held)
    return proto


# name: input, nodes, weights
EXACT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "loop": (FLAT, f"y = Loop<body = steps {HEAD} {STEP}>(m, c, x)", {"m": ints(3)}),
    "loop without condition": (
        FLAT,
        f"y = Loop<body = steps {HEAD} {STEP}>(m, , x)",
        {"m": ints(2)},
    ),
    "loop until": (
        FLAT,
        "y = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r)"
        " { l = Constant<value = int64 {3}>() go = Less(t, l) r = Add(s, x) }>(, c, x)",
        {},
    ),
    "no steps": (
        FLAT,
        f"q = Relu(x) z = Loop<body = steps {HEAD} {STEP}>(m, c, q) y = Neg(z)",
        {"m": ints(0)},
    ),
    "stacked": (
        ROWS,
        f"h = Relu(i) q, k = {STACK}(m, c, z) v = Transpose<perm=[1,0,2]>(k) y = Add(v, x)",
        {"m": ints(5), "z": np.zeros((1, 4), np.float32), "i": np.zeros(1, np.float32)},
    ),
    "last of the stack": (
        ROWS,
        f"q, k = {STACK}(m, c, z) l = Slice(k, o, far, zero) y = Squeeze(l, zero)",
        {"m": ints(4), "z": (1, 4), "o": ints(-1), "far": ints(99), "zero": ints(0)},
    ),
    "scan": (
        ROWS,
        SUM + "q, k = " + SCAN.format("scan_output_axes=[1], ") + " y = Neg(k)",
        {"i": ints(1)},
    ),
    "scan backwards": (
        ROWS,
        SUM + "y, k = " + SCAN.format("scan_input_directions=[1], "),
        {"i": ints(1)},
    ),
    "scan backwards to the front": (
        ROWS,
        SUM
        + "q, k = "
        + SCAN.format("scan_output_directions=[1], ")
        + " y = Transpose<perm=[1,2,0]>(k)",
        {"i": ints(1)},
    ),
    "nested": (
        FLAT,
        "y = Loop<body = outer (int64 t, bool g, float s) => (bool go, float u) { go = Identity(g)"
        " i = Add(t, m) u = Loop<body = inner (int64 t2, bool g2, float s2) => (bool go2, float u2)"
        " { go2 = Identity(g2) n = Neg(s) u2 = Add(s2, n) }>(i, , x) }>(m, c, x)",
        {"m": np.array(2)},
    ),
    "state that grows": (
        FLAT,
        "z = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r)"
        " { go = Identity(g) r = Concat<axis=1>(s, x) }>(m, c, x) y = MatMul(z, v)",
        {"m": ints(2), "v": (12, 3)},
    ),
    "a branch that changes": (
        FLAT,
        "y = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r) { go = Identity(g)"
        " k = Cast<to=9>(t) r = If<then_branch = one () => (float p) { p = Neg(s) },"
        " else_branch = two () => (float q) { q = Add(s, x) }>(k) }>(m, c, x)",
        {"m": ints(4)},
    ),
    "if": (
        FLAT,
        "y = If<then_branch = one () => (float p) { p = Neg(x) },"
        " else_branch = two () => (float q) { q = Det(x) }>(c)",
        {},
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_unrolled_is_exact(name: str) -> None:
    inputs, body, given = EXACT[name]
    imported = agrees(spelt(inputs, body, **{"c": TRUE, "w": (4, 4), **given}))
    assert {outcome.kind for outcome in imported.report} <= {"compiled", "constant", "removed"}


def test_origin_and_outcome_of_nodes_inside() -> None:
    proto = model(
        FLAT, f"y = Loop<body = steps {HEAD} {STEP}>(m, c, x)", m=ints(3), c=TRUE, w=(4, 4)
    )
    proto.graph.node[0].name = "loop"
    proto.graph.node[0].attribute[0].g.node[1].name = "weights"
    report = {outcome.name: outcome for outcome in check_model(proto)}
    assert [outcome.kind for outcome in report.values()] == [
        "compiled",
        "constant",
        *["compiled"] * 3,
    ]
    assert report["loop"].reason == "unrolled, 3 steps"
    nodes = import_model(proto).graph.nodes
    assert [n.origin[0] for n in nodes[:3]] == ["weights", "loop/Add_2", "loop/Relu_3"]
    assert len(nodes) == 9 and len({node.result.name for node in nodes}) == 9


ENDLESS = "{ go = Identity(g) r = Relu(s) }"
BOUNDED: dict[str, tuple[str, dict[str, Any], str]] = {
    "trips": (
        f"y = Loop<body = steps {HEAD} {ENDLESS}>(m, c, x)",
        {"m": ints(10**9)},
        "8,192 nodes",
    ),
    "endless": (f"y = Loop<body = steps {HEAD} {ENDLESS}>(, c, x)", {}, "8,192 nodes"),
    "nothing": (
        "y = Loop<body = steps (int64 t, bool g, float s) => (bool g, float s) {}>(, , x)",
        {},
        "8,192 nodes",
    ),
    "constants": (
        "z = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r)"
        " { go = Identity(g) r = Concat<axis=0>(s, s) }>(, , k) q = ReduceSum(z) y = Add(q, x)",
        {"k": (2,)},
        "too many constants",
    ),
    "values": (
        "y = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r)"
        " { go = Identity(g) r = Concat<axis=1>(s, s) }>(, , x)",
        {},
        "elements",
    ),
    "condition": (
        "y = Loop<body = steps (int64 t, bool g, float s) => (float r, float r)"
        " { r = Relu(s) }>(, , x)",
        {},
        "the condition of Loop depends on the data",
    ),
    "trip count": (
        f"y = Loop<body = steps {HEAD} {ENDLESS}>(x, c, x)",
        {},
        "the trip count of Loop depends on the data",
    ),
    "batch": (
        f"n = Shape<end=1>(x) y = Loop<body = steps {HEAD} {ENDLESS}>(n, c, x)",
        {},
        "the trip count of Loop depends on the batch size",
    ),
    "inside": (
        f"y = Loop<body = steps {HEAD} {{ go = Identity(g) r = Tan(s) }}>(, c, x)",
        {},
        "operator Tan",
    ),
    "no steps": (
        "q, y = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r, float e)"
        " { go = Identity(g) r = Relu(s) e = Neg(s) }>(m, c, x)",
        {"m": ints(0)},
        "with zero iterations",
    ),
    "samples": (
        "q, y = Scan<num_scan_inputs=1, body = steps (float s, float p) => (float r, float e)"
        " { r = Add(s, p) e = Neg(r) }>(h, x)",
        {"h": (4,)},
        "Scan along the batch axis",
    ),
    "cell": (
        "t = Tile(x, n) r = Reshape(t, s) y = RNN<hidden_size=1, layout=1>(r, w, h)",
        {"n": ints(1, 1000), "s": ints(0, -1, 1), "w": (1, 1, 1), "h": (1, 1, 1)},
        "RNN unrolls to more than 16,384 nodes",
    ),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_is_refused_is_refused_soon(name: str) -> None:
    body, weights, reason = BOUNDED[name]
    begin = time.process_time()
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(model(FLAT, body, 17, c=TRUE, **weights))
    assert time.process_time() - begin < 60


def test_second_results_that_only_a_body_reads() -> None:
    body = (
        "a, i = MaxPool<kernel_shape=[2]>(x) y = Loop<body = steps (int64 t, bool g, float s)"
        " => (bool go, float r) { go = Identity(g) k = Cast<to=1>(i) r = Add(s, k) }>(m, c, a)"
    )
    with pytest.raises(UnsupportedModel, match="MaxPool with a second output"):
        import_model(model(ROWS, body, 17, m=ints(2), c=TRUE))


UNTIL = (
    "z0 = Sub(x, x) y = Loop<body = steps (int64 t, bool g, float s) => (bool go, float r)"
    " { h = Mul(s, half) r = Add(h, x) d = {} top = ReduceMax<keepdims=0>(d)"
    " go = Greater(top, eps) }>(m, c, z0)"
)
CONVERGED, ENDED = UNTIL.replace("{}", "Sub(r, s)"), UNTIL.replace("{}", "Sub(s, s)")


def until(body: str) -> onnx.ModelProto:
    scalars = {"half": np.float32(0.5), "eps": np.float32(1e-3)}
    return spelt(FLAT, body, m=ints(20), c=TRUE, **scalars)


def told(proto: onnx.ModelProto | Path, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        qcompiler.compile(proto, target="reference", t_max=64, **options)
    return [str(one.message) for one in caught if "all 20 rounds" in str(one.message)]


def test_a_loop_until_it_converges_runs_all_rounds(tmp_path: Path) -> None:
    """More rounds than the model runs change nothing; where they do, a warning says so."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    (found,) = evaluate(import_model(until(CONVERGED)).graph, x)
    (wanted,) = run_onnx(until(CONVERGED), {"x": x})
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    becomes = {one.name: one.kind for one in check_model(until(CONVERGED))}
    assert [kind for kind in becomes.values() if kind == "removed"] == ["removed"] * 3
    for body, count in ((CONVERGED, 0), (ENDED, 1)):
        path = tmp_path / "loop.onnx"
        onnx.save(until(body), path)
        assert len(told(path, calibration=x)) == count
        assert len(told(path)) == len(told(until(body), calibration=x)) == 1


def test_a_loop_without_a_trip_count_cannot_run_until_the_data_say_so() -> None:
    endless = CONVERGED.replace("(m, c, z0)", "(, c, z0)")
    with pytest.raises(UnsupportedModel):
        import_model(until(endless))
    many = model(FLAT, CONVERGED, 17, m=ints(10**9), c=TRUE, half=(1,), eps=(1,))
    with pytest.raises(UnsupportedModel, match="the condition of Loop depends on the data"):
        import_model(many)


INVALID = {
    "input of a body": ("(int64 t, bool g, float x) => (bool go, float r)", ENDLESS, "twice"),
    "result in a body": (HEAD, "{ go = Identity(g) c = Neg(s) r = Relu(c) }", "defined twice"),
    "undefined": (HEAD, "{ go = Identity(g) r = Add(s, nowhere) }", '"nowhere" is not defined'),
    "itself": (HEAD, "{ go = Identity(g) r = Add(s, y) }", "cycle"),
    "cycle": (HEAD, "{ go = Identity(g) u = Add(s, r) r = Relu(u) }", "cycle"),
    "too few": ("(int64 t, bool g, float s) => (bool go)", "{ go = Identity(g) }", "carries 1"),
}


@pytest.mark.parametrize("name", INVALID)
def test_bodies_that_are_not_valid(name: str) -> None:
    head, nodes, reason = INVALID[name]
    proto = model(FLAT, f"y = Loop<body = steps {head} {nodes}>(m, c, x)", m=ints(2), c=TRUE)
    with pytest.raises(InvalidModel, match=reason):
        import_model(proto)


SCANS: dict[str, tuple[dict[str, Any], str]] = {
    "axis": ({"scan_input_axes": [7]}, "scans axis 7"),
    "axes": ({"scan_input_axes": [1, 1]}, "2 scan_input_axes for 1 values"),
    "type": ({"scan_input_axes": 1}, "of the wrong type"),
    "result": ({"scan_output_axes": [9]}, "has axis 9"),
    "none": ({"num_scan_inputs": 0}, "scans 0 of 2 inputs"),
    "many": ({"num_scan_inputs": 9}, "scans 9 of 2 inputs"),
    "text": ({"num_scan_inputs": "one"}, "of the wrong type"),
    "direction": ({"scan_input_directions": [1, 0]}, "scan_input_axes for 1 values"),
}


@pytest.mark.parametrize("name", SCANS)
def test_scans_that_are_not_valid(name: str) -> None:
    attributes, reason = SCANS[name]
    proto = spelt(ROWS, SUM + "q, y = " + SCAN.format(""), w=(4, 4), i=ints(1))
    node = proto.graph.node[-1]
    for key, value in attributes.items():
        held = [a for a in node.attribute if a.name != key]
        del node.attribute[:]
        node.attribute.extend([*held, onnx.helper.make_attribute(key, value)])
    with pytest.raises(InvalidModel, match=reason):
        import_model(proto)


def test_values_that_are_functions_of_each_other_many_times() -> None:
    """Sums of two functions of one value, one behind the other: every node is looked at once."""
    steps = "a = Relu(s) b = Tanh(s) d = Add(a, b) r = Sub(d, s)"
    proto = spelt(
        FLAT,
        f"y = Loop<body = steps {HEAD} {{ go = Identity(g) {steps} }}>(m, c, x)",
        m=ints(400),
        c=TRUE,
    )
    begin = time.process_time()
    assert len(import_model(proto).graph.nodes) > 800
    assert time.process_time() - begin < 60
