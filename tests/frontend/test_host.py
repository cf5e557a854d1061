"""What the host computes from decoded values: indices, and outputs that are constant."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.shape_inference import infer_shapes
from onnx.utils import Extractor

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import InvalidModel, UnsupportedModel, parse, show
from qcompiler.passes.quantization.logits import logits
from tests.support.onnx_models import agrees, ints, model, run_onnx
from tests.support.operator_cases import FLAT, ROWS


def typed(proto: onnx.ModelProto, **kinds: int) -> onnx.ModelProto:
    """A model with the types of some outputs."""
    for output in proto.graph.output:
        output.type.tensor_type.elem_type = kinds.get(output.name, TensorProto.FLOAT)
    return proto


INDICES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "cast to int32": ("a = ArgMax<axis=1>(x) s = Squeeze(a, o) y = Cast<to=6>(s)", 6, {}),
    "cast to a byte": ("a = ArgMax<axis=1, keepdims=0>(x) y = Cast<to=2>(a)", 2, {}),
    "cast to real numbers": ("a = ArgMax<axis=1>(x) i = Identity(a) y = Cast<to=1>(i)", 1, {}),
    "cast twice": ("a = ArgMax<axis=1>(x) b = Cast<to=6>(a) y = Cast<to=7>(b)", 7, {}),
    "smallest": ("y = ArgMin<axis=1>(x)", 7, {}),
    "last smallest": ("y = ArgMin<axis=-1, select_last_index=1>(x)", 7, {}),
    "top one": ("v, y = TopK(x, o)", 7, {}),
    "top one of probabilities": ("s = Softmax(x) v, y = TopK(s, o)", 7, {}),
    "top two": ("v, y = TopK(x, k)", 7, {"k": ints(2)}),
    "lowest of probabilities": (
        "s = Softmax(x) v, i = TopK<axis=1, largest=0>(s, k) y = Identity(i)",
        7,
        {"k": ints(3)},
    ),
    "two indices": (
        "a = ArgMax<axis=1>(x) n = Neg(x) b = ArgMax<axis=1>(n) y = Concat<axis=1>(a, b)",
        7,
        {},
    ),
    "an index beside numbers": (
        "a = ArgMax<axis=1>(x) f = Cast<to=1>(a) y = Concat<axis=1>(f, x)",
        1,
        {},
    ),
    "lowest one": ("v, y = TopK<largest=0, axis=1, sorted=0>(x, o)", 7, {}),
}


@pytest.mark.parametrize("name", INDICES)
def test_indices(name: str) -> None:
    body, kind, weights = INDICES[name]
    given = {"o": ints(1)} | weights if " o)" in body else weights
    proto = typed(model(FLAT, body, **given), y=kind)
    imported = agrees(proto)
    assert imported.report[0].kind == "host"
    rows = np.tile(np.arange(6, dtype=np.float32), (8, 1))
    batch = np.random.default_rng(1).permuted(rows, axis=1)  # no two are near each other
    program = qcompiler.compile(proto, target="reference", calibration=batch, t_max=256)
    found, (wanted,) = np.asarray(program.run(batch)), run_onnx(proto, {"x": batch})
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=0.05)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [1, 2])
def test_top_one_and_its_value(largest: int, axis: int) -> None:
    body = f"v, y = TopK<axis={axis}, largest={largest}>(x, o)"
    agrees(typed(model(ROWS, body, outputs="v y", o=ints(1)), y=TensorProto.INT64))


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [1, -1])
def test_several_in_order(largest: int, axis: int) -> None:
    body = f"r = Relu(x) v, y = TopK<axis={axis}, largest={largest}>(r, k)"  # with equal ones
    agrees(typed(model(ROWS, body, outputs="v y", k=ints(2)), y=TensorProto.INT64))


def test_the_value_of_top_one_goes_on() -> None:
    imported = agrees(model(ROWS, "v, i = TopK(x, o) y = Relu(v)", o=ints(1)))
    assert [outcome.kind for outcome in imported.report] == ["compiled", "compiled"]


@pytest.mark.parametrize(
    ("body", "reason", "help_"),
    [
        ("v, i = TopK(x, k) y = Relu(v)", "TopK inside the network", "decoded"),
        ("v, i = TopK(x, o) c = Cast<to=1>(i) y = Relu(c)", "TopK inside the network", "decoded"),
        ("v, y = TopK<axis=0>(x, o)", "TopK mixes the batch axis", "batch axis"),
        ("i = ArgMin(x) y = Cast<to=1>(i)", "ArgMin mixes the batch axis", "batch axis"),
    ],
)
def test_refused_indices(body: str, reason: str, help_: str) -> None:
    proto = model(FLAT, body, o=ints(1), k=ints(2))
    with pytest.raises(UnsupportedModel, match=reason) as caught:
        import_model(proto)
    assert help_ in (caught.value.diagnostics[0].help or "")
    assert "refused" in {outcome.kind for outcome in check_model(proto)}


REFINED = {  # what reads a window of scores around the largest, as detectors of pitch do
    "elements": (
        "i = ArgMax<axis=2>(h) a = Add(i, around) n = GatherElements<axis=2>(p, a)"
        " y = ReduceSum(n, axis)"
    ),
    "elements alone": "i = ArgMax<axis=2>(h) n = GatherElements<axis=2>(h, i) y = Relu(n)",
    "table": "i = ArgMax<axis=2>(h) y = Gather(table, i)",
    "table behind a sum": "i = ArgMax<axis=2>(h) a = Add(i, around) y = Gather(table, a)",
}


@pytest.mark.parametrize("body", REFINED.values(), ids=REFINED)
def test_what_reads_at_the_largest_score_is_refused_for_the_largest_score(body: str) -> None:
    constants: dict[str, Any] = {
        "w": (5, 5),
        "pads": ints(0, 0, 1, 0, 0, 1),
        "around": ints(0, 1, 2),
        "axis": ints(2),
        "table": (7,),
    }
    proto = model("float[N,4,5] x", f"h = MatMul(x, w) p = Pad(h, pads) {body}", **constants)
    with pytest.raises(UnsupportedModel) as caught:
        import_model(proto)
    (refused,) = caught.value.diagnostics
    assert refused.message == "ArgMax inside the network is not supported"
    assert 'or at "h", which it reads' in (refused.help or "")
    agrees(Extractor(infer_shapes(proto)).extract_model(["x"], ["h"]))


def test_constant_outputs_of_a_fixed_batch() -> None:
    proto = model("float[1,6] x", "y = Relu(x) k = Identity(w)", outputs="y k", w=(1, 4, 2))
    graph = import_model(proto).graph
    assert graph.outputs[1].type.shape == (4, 2)


def test_constant_outputs_run(tmp_path: Any) -> None:
    body = "h = MatMul(x, w) y = Relu(h) k = Identity(c) s = Shape(w) r = Exp(e) b = Expand(r, m)"
    weights: dict[str, Any] = {"w": (6, 4), "c": (5, 2), "e": (3,), "m": ints(7, 3)}
    proto = typed(model("float[7,6] x", body, outputs="k y s b", **weights), s=TensorProto.INT64)
    batch = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32)
    wanted = run_onnx(proto, {"x": batch})
    program = qcompiler.compile(proto, target="reference", calibration=batch)
    program.save(tmp_path / "program")
    program = qcompiler.load(tmp_path / "program")
    assert parse(show(program.graph), {c.name: c.data for c in program.graph.constants})
    for engine in ("fast", "steps"):
        k, y, s, b = program.run(batch, engine=engine)
        np.testing.assert_array_equal(k, np.broadcast_to(wanted[0], (7, 5, 2)))
        np.testing.assert_array_equal(s, np.broadcast_to(wanted[2], (7, 2)))
        np.testing.assert_allclose(b, wanted[3], 1e-6)
        assert s.dtype.kind == "i"
        assert y.shape == wanted[1].shape


@pytest.mark.parametrize("count", [0, 7])
def test_more_elements_than_there_are(count: int) -> None:
    with pytest.raises(InvalidModel, match=f"TopK has k {count} for 6 elements along axis 1"):
        import_model(model(FLAT, "v, y = TopK(x, k)", k=ints(count)))


def test_a_long_chain_of_softmax_is_followed() -> None:
    """Of more nodes than calls may be nested."""
    names = ["x", *(f"s{index}" for index in range(1100)), "y"]
    body = " ".join(f"{y} = Softmax({x})" for x, y in pairwise(names))
    graph = import_model(model(FLAT, body)).graph
    assert logits(graph, graph.outputs[0]) == graph.inputs


def test_logits_keep_their_order() -> None:
    body = "a = Softmax(x) b = Neg(x) c = Softmax(b) d = Concat<axis=1>(c, a)"
    body += " y = Concat<axis=1>(d, c)"
    graph = import_model(model(FLAT, body)).graph
    assert [one.name for one in logits(graph, graph.outputs[0])] == ["b", "x"]
