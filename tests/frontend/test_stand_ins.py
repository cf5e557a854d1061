"""What stands behind a refused node, or a refused input, is judged from its shape."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from qcompiler.frontend.import_model import check_model
from tests.support.onnx_models import ints, model
from tests.support.operator_cases import CASES

OPEN = "float[N,3,H,W] x"
SQUARE = "float[N,3,8,8] x"
WEIGHTS: dict[str, Any] = {
    **{"w": (3, 3, 1, 1), "v": (3, 3, 1, 1), "table": (9, 5), "gain": (5,)},
    **{"wq": (5, 5), "wk": (5, 5), "wv": (5, 5), "wi": (1, 8, 5), "wr": (1, 8, 2)},
    **{"zero": np.float32(0), "three": np.float32(3), "six": np.float32(6), "four": ints(-1, 4)},
}
ATTENTION = """
    n = LayerNormalization<axis=-1>(x, gain) q = MatMul(n, wq) k = MatMul(n, wk) u = MatMul(n, wv)
    t = Transpose<perm=[0,2,1]>(k) s = MatMul(q, t) p = Softmax<axis=-1>(s) o = MatMul(p, u)
    e = Erf(o) h = Mul(o, e) i = Tan(h) y = Add(i, x)
"""


def refused(proto: onnx.ModelProto, allow_products: bool = False) -> dict[str, str]:
    """Refused nodes and inputs, each with its reason and help."""
    outcomes = check_model(proto, None, allow_products)
    return {f.name: f"{f.reason}; {f.help}" for f in outcomes if f.kind == "refused"}


# name: input, nodes, whether products are allowed, what is refused
JUDGED: dict[str, tuple[str, str, bool, list[str]]] = {
    "silu of open size": (OPEN, "c = Conv(x, w) s = Sigmoid(c) y = Mul(c, s)", False, ["x"]),
    "gate of open size": (
        OPEN,
        "c = Conv(x, w) p = GlobalAveragePool(c) s = Sigmoid(p) y = Mul(c, s)",
        False,
        ["x", "y"],
    ),
    "hard swish behind a gate": (
        SQUARE,
        "p = GlobalAveragePool(x) s = Sigmoid(p) m = Mul(x, s) a = Add(m, three)"
        " c = Clip(a, zero, six) h = Mul(m, c) y = Conv(h, w)",
        False,
        ["m"],
    ),
    "product behind a quotient": (
        SQUARE,
        "a = Conv(x, w) b = Conv(x, v) q = Div(a, b) r = Relu(q) y = Mul(r, x)",
        True,
        [],
    ),
    "product with a function that is refused": (SQUARE, "s = Tan(x) y = Mul(s, x)", False, ["s"]),
    "product with a comparison": (
        SQUARE,
        "g = Greater(x, zero) f = Cast<to=1>(g) y = Mul(f, x)",
        False,
        [],
    ),
    "product with two comparisons of a function": (
        SQUARE,
        "t = Tanh(x) g = Greater(t, zero) l = Less(x, six) b = And(g, l) n = Not(b)"
        " f = Cast<to=1>(n) y = Mul(f, t)",
        False,
        [],
    ),
    "product with a comparison of another value": (
        SQUARE,
        "c = Conv(x, w) g = Greater(c, zero) f = Cast<to=1>(g) y = Mul(f, x)",
        False,
        ["y"],
    ),
    "product behind what only its exporter knows": (
        SQUARE,
        "f = local.Fused(x) s = Sigmoid(f) y = Mul(f, s)",
        False,
        ["f"],
    ),
    "attention": ("float[N,4,5] x", ATTENTION, False, ["n", "s", "o", "i"]),
    "attention of open length": (
        "float[N,T,5] x",
        ATTENTION,
        False,
        ["x", "n", "s", "o", "i"],
    ),
    "embedding": (
        "int64[N,6] x",
        "e = Gather(table, x) s = Tan(e) t = Sigmoid(e) m = Mul(s, t) y = ReduceProd(m)",
        False,
        ["s", "y"],
    ),
    "samples that are joined with an axis behind one": (
        SQUARE,
        "s = Tan(x) y = Reshape(s, four)",
        False,
        ["s"],
    ),
    "samples that are mixed at any size": (OPEN, "y = Reshape(x, four)", False, ["x"]),
    "recurrent network of open length": (
        "float[N,T,5] x",
        "s = Tan(x) y = LSTM<hidden_size=2, layout=1>(s, wi, wr)",
        False,
        ["x", "s", "y"],
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_is_refused_behind_a_refused_node(name: str) -> None:
    inputs, body, allow_products, expected = JUDGED[name]
    read = set(re.findall(r"\w+", body))
    weights = {weight: shape for weight, shape in WEIGHTS.items() if weight in read}
    proto = model(inputs, body, **weights)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    found = refused(proto, allow_products)
    assert found.keys() == {one if one == "x" else f"{one}_node" for one in expected}
    assert not allow_products or "--allow-products" not in str(found)


def behind(proto: onnx.ModelProto, *first: onnx.NodeProto) -> onnx.ModelProto:
    """The model behind nodes that turn its input into ``refused``."""
    name = proto.graph.input[0].name
    for node in proto.graph.node:
        given = ["refused" if read == name else read for read in node.input]
        del node.input[:]
        node.input.extend(given)
    nodes = [*first, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def of_open_size(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with all axes open but those of the batch and of channels."""
    axes = proto.graph.input[0].type.tensor_type.shape.dim
    for index, axis in enumerate(axes):
        if index > 1 or (index == 1 and len(axes) == 2):
            axis.dim_param = f"axis{index}"
    return proto


@pytest.mark.parametrize("name", CASES)
def test_no_operator_is_refused_for_its_neighbour(name: str) -> None:
    case = CASES[name]

    def proto() -> onnx.ModelProto:
        opset = max(case.oldest, min(case.newest, 17))
        return model(case.inputs, case.body, opset, **case.weights)

    assert not refused(proto())
    functions = helper.make_node("Tan", ["x"], ["refused"], "first")
    unknown = helper.make_node("LpNormalization", ["x"], ["refused"], "first")
    foreign = helper.make_node("Fused", ["x"], ["refused"], "first", domain="com.example")
    for first in (functions, unknown, foreign):
        assert refused(behind(proto(), first)).keys() == {"first"}
    if proto().graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        # an open axis beside fixed ones would be the batch's
        assert refused(of_open_size(proto())).keys() <= {"x"}
