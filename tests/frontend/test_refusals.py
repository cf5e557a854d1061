"""What is not supported is refused by the name of the node, with a reason, all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from qcompiler.frontend.import_model import Preprocessing, check_model, import_model
from qcompiler.ir import UnsupportedModel
from tests.support.onnx_models import agrees, ints, model
from tests.support.operator_cases import FLAT, IMAGE, ROWS

SCALE = {"s": (3,), "b": (3,), "m": (3,), "v": np.ones(3, np.float32)}
BRANCHES = "v = Relu(x) y = {}(v, x)"
EMPTY = "s = Constant<value = int64[2] {1073741824, 4}>() c = ConstantOfShape(s)"

# name: input, nodes, opset, weights, the reason, part of the help
REFUSED: dict[str, tuple[str, str, int, dict[str, Any], str, str]] = {
    "unknown": (IMAGE, "y = Det(x)", 17, {}, "operator Det is not", ""),
    "einsum": (ROWS, 'y = Einsum<equation="bii->bi">(x)', 17, {}, "of a diagonal", ""),
    "einsum samples": (ROWS, 'y = Einsum<equation="bij->ij">(x)', 17, {}, "mixes the batch", ""),
    "tile": (FLAT, "y = Tile(x, r)", 17, {"r": ints(2, 1)}, "Tile mixes the batch", ""),
    "expand": (FLAT, "y = Expand(x, s)", 17, {"s": ints(5, 1, 1)}, "Expand mixes the batch", ""),
    "expand fixed": (FLAT, "y = Expand(x, s)", 17, {"s": ints(5, 6)}, "batch size", "-1"),
    "running sum": (ROWS, "y = CumSum(x, a)", 17, {"a": np.array(0)}, "mixes the batch", ""),
    "concat": (FLAT, "v = Neg(x) y = Concat<axis=0>(x, v)", 17, {}, "Concat mixes the batch", ""),
    "concat samples": (
        FLAT,
        "y = Concat<axis=1>(x, c)",
        17,
        {"c": (23, 6)},
        "the constant of Concat differs between samples",
        "",
    ),
    "lstm": (
        ROWS,
        "y = LSTM<hidden_size=2, layout=1>(x, w, w)",
        17,
        {"w": (1, 8, 5)},
        "LSTM multiplies",
        "--allow-products",
    ),
    "rnn": (
        ROWS,
        "y = RNN<hidden_size=2>(x, w, w)",
        17,
        {"w": (1, 2, 5)},
        "RNN whose batch axis",
        "",
    ),
    "resize": (
        FLAT,
        "y = Resize(x, , s)",
        17,
        {"s": np.array([2, 1], np.float32)},
        "Resize mixes the batch",
        "",
    ),
    "resize cropping": (
        FLAT,
        'y = Resize<coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=1.0>'
        "(x, r, s)",
        17,
        {"r": np.array([0, 0.5, 1, 2], np.float32), "s": np.array([1, 2], np.float32)},
        "extrapolation_value",
        "",
    ),
    "tan": (FLAT, "y = Tan(x)", 17, {}, "it has poles", "retrain"),
    "equal": (
        FLAT,
        "s = Add(x, c) e = Equal(s, c) y = Cast<to=1>(e)",
        17,
        {"c": np.float32(2)},
        "Equal of real numbers",
        "Less(Abs(x)",
    ),
    "peaks": (
        "float[N,1,6,6] x",
        "m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) e = Equal(m, x) y = Cast<to=1>(e)",
        17,
        {},
        "maximum of its neighbours",
        "in front of the maximum",
    ),
    "mod": (
        FLAT,
        "y = Mod<fmod=1>(x, c)",
        17,
        {"c": np.zeros(6, np.float32)},
        "Mod is only supported by one number",
        "",
    ),
    "part of a sequence": (
        "float[2,5,4] x",
        "t = Transpose<perm=[1,0,2]>(x) y = RNN<hidden_size=3>(t, w, r, , l)",
        17,
        {"w": (1, 3, 4), "r": (1, 3, 3), "l": np.array([5, 4], np.int32)},
        "RNN over only part of the 5 time steps",
        "pad",
    ),
    "slice": (FLAT, "y = Slice(x, a, b)", 17, {"a": ints(0), "b": ints(2)}, "mixes the batch", ""),
    "gather nothing": (
        FLAT,
        "y = Gather<axis=1>(x, a)",
        17,
        {"a": ints()},
        "the result of Gather is empty",
        "leave the node out",
    ),
    "split": (FLAT, "y, z = Split<axis=0>(x)", 11, {}, "Split mixes the batch", ""),
    "gather": (FLAT, "y = Gather<axis=0>(x, a)", 17, {"a": ints(0)}, "mixes the batch", ""),
    "quantised": (
        FLAT,
        "y = QuantizeLinear<block_size=2>(x, s)",
        21,
        {"s": np.ones((6, 3), np.float32)},
        "QuantizeLinear in blocks is not supported",
        "per channel",
    ),
    "add": (FLAT, "v = Unsqueeze(x, a) y = Add(v, x)", 17, {"a": ints(1)}, "mixes the batch", ""),
    "mul": (
        IMAGE,
        "v = Conv(x, w) y = Mul(v, x)",
        17,
        {"w": (3, 3, 1, 1)},
        "Mul of two values",
        "neurons",
    ),
    "div": (
        IMAGE,
        "v = Conv(x, w) y = Div(v, x)",
        17,
        {"w": (3, 3, 1, 1)},
        "Div of two values",
        "neurons",
    ),
    "matmul": (
        ROWS,
        "t = Transpose<perm=[0,2,1]>(x) y = MatMul(x, t)",
        17,
        {},
        "MatMul of two values",
        "neurons",
    ),
    "norm": (ROWS, "y = LpNormalization(x)", 17, {}, "LpNormalization of two values", "neurons"),
    "matmul batch": (ROWS, "y = MatMul(x, w)", 17, {"w": (2, 5, 5)}, "mixes the batch", ""),
    "matmul first": (FLAT, "y = MatMul(w, x)", 17, {"w": (2, 3)}, "mixes the batch", ""),
    "divided by a size": (
        FLAT,
        "s = Size(x) c = Cast<to=1>(s) y = Div(x, c)",
        17,
        {},
        "the constant of Div depends on the batch size",
        "--input-shape NAME=1",
    ),
    "scattered product": (
        "float[1,6] x",
        'y = ScatterElements<axis=1, reduction="mul">(x, i, u)',
        17,
        {"i": ints(1).reshape(1, 1), "u": (1, 1)},
        "ScatterElements with reduction mul",
        "Mul, Max or Min with a constant",
    ),
    "gemm transposed": (
        FLAT,
        "y = Gemm<transA=1>(x, w)",
        17,
        {"w": (3, 2)},
        "mixes the batch",
        "at 3",
    ),
    "gemm first": (FLAT, "y = Gemm(w, x)", 17, {"w": (2, 3)}, "mixes the batch", "write MatMul"),
    "gemm first of one sample": (
        "float[3,6] x",
        "y = Gemm(w, x)",
        17,
        {"w": (2, 3)},
        "Gemm with a constant first",
        "write MatMul and Add",
    ),
    "gemm samples": (
        FLAT,
        "y = Gemm(x, w, c)",
        17,
        {"w": (6, 2), "c": (3, 2)},
        "differs between samples",
        "",
    ),
    "weight": (
        f"{IMAGE}, float[4,3,2,2] w",
        "y = Conv(x, w)",
        17,
        {},
        "the weight of Conv depends on the data",
        "must be a constant",
    ),
    "long fold": (
        FLAT,
        "a = ConvInteger(v, w) b = Cast<to=1>(a) c = ReduceSum(b) y = Add(x, c)",
        17,
        {"v": np.ones((1, 1, 1500, 1500), np.uint8), "w": np.ones((1, 1, 700, 700), np.uint8)},
        "ConvInteger would compute a constant that takes too long",
        "fold",
    ),
    "training": (
        IMAGE,
        "y = BatchNormalization<training_mode=1>(x, s, b, m, v)",
        17,
        SCALE,
        "BatchNormalization in training mode",
        "export for inference",
    ),
    "spatial": (
        IMAGE,
        "y = BatchNormalization<spatial=0>(x, s, b, m, v)",
        7,
        SCALE,
        "spatial=0",
        "",
    ),
    "dropout": (
        FLAT,
        "y = Dropout(x, r, t)",
        13,
        {"r": np.float32(0.5), "t": np.bool_(True)},
        "Dropout in training mode",
        "",
    ),
    "indices": (
        IMAGE,
        "y, z = MaxPool<kernel_shape=[2,2]>(x)",
        17,
        {},
        "MaxPool with a second output",
        "",
    ),
    "padding only": (
        IMAGE,
        "y = MaxPool<kernel_shape=[2,2], pads=[2,2,0,0]>(x)",
        17,
        {},
        "window that sees only padding",
        "",
    ),
    "reshape": (IMAGE, "y = Reshape(x, s)", 17, {"s": ints(8, -1)}, "mixes the batch axis", ""),
    "reshape fixed": (FLAT, "y = Reshape(x, s)", 17, {"s": ints(1, 6)}, "batch size", "-1"),
    "transpose": (FLAT, "t = Transpose(x) y = Trilu(t)", 17, {}, "Trilu mixes the batch", ""),
    "mean": (FLAT, "y = ReduceMean(x)", 17, {}, "ReduceMean mixes the batch axis", ""),
    "reflect": (FLAT, 'y = Pad<mode="edge">(x, p)', 17, {"p": ints(1, 0, 0, 0)}, "batch", ""),
    "pad batch": (FLAT, "y = Pad(x, p)", 17, {"p": ints(1, 0, 0, 0)}, "mixes the batch", ""),
    "cast": (FLAT, "y = Cast<to=7>(x)", 17, {}, "to integers is not supported", ""),
    "enlarges": (FLAT, "y = Add(x, c)", 17, {"c": (1, 4, 6)}, "adds axes to the value", ""),
    "samples": (FLAT, "y = Add(x, c)", 17, {"c": (4, 6)}, "between samples of a batch", ""),
    "arg max inside": (
        ROWS,
        "v = ArgMax<axis=1>(x) f = Cast<to=1>(v) y = Relu(f)",
        17,
        {},
        "ArgMax inside the network",
        "decoded",
    ),
    "mask": (
        ROWS,
        "v = Add(x, c) y = Relu(v)",
        17,
        {"c": np.array([0, 0, 0, 0, -np.inf], np.float32)},
        "a mask of minus infinity",
        "number that the values reach",
    ),
    "arg max": (ROWS, "y = ArgMax(x)", 17, {}, "ArgMax mixes the batch axis", ""),
    "huge": (FLAT, f"{EMPTY} y = Add(x, c)", 17, {}, "more than 268435456 elements", ""),
    "loop": (FLAT, "c = RandomNormal<shape=[6]>() y = Add(x, c)", 17, {}, "RandomNormal", "random"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_names_node_and_reason(name: str) -> None:
    inputs, body, opset, weights, reason, help_ = REFUSED[name]
    proto = model(inputs, body, opset, outputs="y z" if "z =" in body else "y", **weights)
    with pytest.raises(UnsupportedModel) as caught:
        import_model(proto)
    (finding,) = caught.value.diagnostics
    assert reason in finding.message
    assert help_ in (finding.help or "")
    assert set(finding.nodes) & {node.name for node in proto.graph.node}
    refused = [outcome for outcome in check_model(proto) if outcome.kind == "refused"]
    assert [(f.name, f.reason) for f in refused] == [(finding.nodes[0], finding.message)]


def test_all_refusals_at_once() -> None:
    body = """
        a = Tan(x) b = Conv(a, w) c = Tan(b) d = Det(c) e = Mul(c, x)
        f = com.example.Fused(e, d) g = Relu(f) h = Shape(g) j = Gather(h, i) y = Neg(g)
    """
    proto = model("float[N,3,8,8] x", body, w=(3, 3, 1, 1), i=ints(1))
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    with pytest.raises(UnsupportedModel) as caught:
        import_model(proto)
    poles = "operator Tan is not supported: it has poles"
    found = {d.message: d.nodes for d in caught.value.diagnostics}
    assert found == {
        "operator Tan is not supported: it has poles (2 nodes)": (
            "a_node",
            "c_node",
        ),
        "operator Det is not supported: it multiplies values that depend on the data": ("d_node",),
        "Mul of two values that depend on the data is not supported": ("e_node",),
        "operator com.example.Fused is not supported": ("f_node",),
    }
    text = str(caught.value)
    assert text.startswith(f'error: {poles} (2 nodes)\n  --> nodes "a_node"')
    report = {outcome.name: outcome for outcome in check_model(proto)}
    assert report["b_node"].kind == "compiled"
    assert "not fully checked" in (report["b_node"].reason or "")


# name: input, the reason, part of the help
INPUTS: dict[str, tuple[str, str, str]] = {
    "integers": ("int64[N,4] x", "Relu of integers that depend on the data", "cast them"),
    "texts": ("string[N,4] x", 'input "x" holds string, not numbers', "real numbers or integers"),
    "open": (
        "float[N,3,H,W] x",
        'input "x" has the shape [N, 3, H, W]',
        "--input-shape x=N,3,..,..",
    ),
    "unknown": (
        "float[N,3,?,8] x",
        "[N, 3, ?, 8], which has variable dimensions",
        "--input-shape x=N,3,..,8",
    ),
    "no shape": ("float[] x", 'input "x" has no shape', "--input-shape x=N,"),
    "open vector": (
        "float[N] x",
        "[N], which has variable dimensions",
        "with a batch axis: [N, 1]",
    ),
    "empty": ("float[N,0] x", "has the shape [N, 0], which is empty", ""),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_are_refused(name: str) -> None:
    inputs, reason, help_ = INPUTS[name]
    with pytest.raises(UnsupportedModel) as caught:
        import_model(model(inputs, "y = Relu(x)"))
    (finding,) = caught.value.diagnostics
    assert reason in finding.message
    assert help_ in (finding.help or "")


def test_input_that_is_no_tensor() -> None:
    proto = model(FLAT, "y = Relu(x)")
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    proto.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(kind))
    with pytest.raises(UnsupportedModel, match="is not a tensor"):
        import_model(proto)


@pytest.mark.parametrize("opset", [1, 6, 999])
def test_opset_out_of_range(opset: int) -> None:
    proto = model(FLAT, "y = Relu(x)")
    proto.opset_import[0].version = opset
    with pytest.raises(UnsupportedModel, match=f"opset {opset}; supported are 7 to"):
        import_model(proto)
    (refused, node) = check_model(proto)
    assert (refused.kind, node.kind) == ("refused", "compiled")
    assert "version_converter" in (refused.help or "")


def test_output_whose_batch_axis_is_joined_with_one_in_front() -> None:
    with pytest.raises(UnsupportedModel, match='of output "y" is joined'):
        import_model(model("float[4,N,5] x", "y = Reshape(x, s)", s=ints(-1, 5)))


def test_outputs_that_are_all_constant() -> None:
    with pytest.raises(UnsupportedModel, match="no output of the model depends on its inputs"):
        import_model(model(FLAT, "y = Identity(w)", w=(3,)))


@pytest.mark.parametrize(
    ("preprocessing", "reason"),
    [
        (Preprocessing(mean=(1, 2)), "mean_values has 2 numbers for an input of 3 channels"),
        (
            Preprocessing(scale=(1, 2, 3), layout="nhwc"),
            "scale_values has 3 numbers for an input of 8 ch",
        ),
        (Preprocessing(scale=(1, 0, 3)), "scale_values cannot hold 0, as the input is divided"),
        (Preprocessing(mean=(float("nan"),)), "mean_values cannot hold nan: give finite"),
        (Preprocessing(mean=(1,), layout="chwn"), "layout chwn is not known"),
    ],
)
def test_preprocessing_that_does_not_fit(preprocessing: Preprocessing, reason: str) -> None:
    proto = model(IMAGE, "y = Relu(x)")
    with pytest.raises(UnsupportedModel, match=reason):
        import_model(proto, preprocessing)
    assert check_model(proto, preprocessing)[0].kind == "refused"


def test_preprocessing_of_vectors_and_of_several_inputs() -> None:
    with pytest.raises(UnsupportedModel, match="no channel axis"):
        import_model(model(FLAT, "y = Relu(x)"), Preprocessing(reverse_channels=True))
    proto = model("float[N,3] x, float[N,3] v", "y = Relu(x) z = Relu(v)", outputs="y z")
    with pytest.raises(UnsupportedModel, match="models with one input"):
        import_model(proto, Preprocessing(scale=(255,)))


def test_subgraphs_and_what_they_read() -> None:
    proto = model(FLAT, "r = Relu(x)", outputs="y")
    branch = helper.make_graph(
        [helper.make_node("Neg", ["r"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "choice"))
    attributes = {"then_branch": branch, "else_branch": branch}
    proto.graph.node.append(helper.make_node("If", ["choice"], ["y"], "choose", **attributes))
    graph = agrees(proto).graph
    assert [node.origin for node in graph.nodes] == [("r_node",), ("choose/Neg_0",)]
    del proto.graph.initializer[:]
    proto.graph.input.append(helper.make_tensor_value_info("choice", TensorProto.FLOAT, ["N", 1]))
    with pytest.raises(UnsupportedModel, match="the condition of If depends on the data"):
        import_model(proto)
    assert [outcome.kind for outcome in check_model(proto)] == ["compiled", "refused"]
