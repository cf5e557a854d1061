"""Files that are no intact models: one sentence each, and never another exception."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.frontend.importers.table import IMPORTERS
from qcompiler.ir import CompileError, InvalidModel, UnsupportedModel
from qcompiler.ir.ann import Clip
from tests.support.onnx_models import ints, model
from tests.support.operator_cases import FLAT, IMAGE

GOOD = model(
    IMAGE,
    """
    c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c) p = MaxPool<kernel_shape=[2,2]>(r)
    s = Shape(p) n = Gather(s, z) u = Unsqueeze(n, z) t = Concat<axis=0>(n, m)
    f = Reshape(p, t) y = Gemm(f, v)
    """,
    w=(4, 3, 3, 3),
    b=(4,),
    v=(224, 5),
    z=ints(0),
    m=ints(-1),
)


def refuses(source: str | Path | bytes | onnx.ModelProto, *parts: str) -> str:
    """The one sentence of the InvalidModel that importing raises; it has these parts."""
    for entry in (import_model, check_model):
        with pytest.raises(InvalidModel) as caught:
            entry(source)
        (finding,) = caught.value.diagnostics
        assert "\n" not in finding.message and "Traceback" not in finding.message
        for part in parts:
            assert part in finding.message
    return finding.message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "net.onnx is empty"),
        (b"hello, this is text\n", "net.onnx is not an ONNX file"),
        (b'{"graph": {}}', "net.onnx is not an ONNX file"),
        (b'ir_version: 8\ngraph { name: "g" }', "net.onnx is not an ONNX file"),
        (b"\x08\x08", "net.onnx is not an ONNX file"),
        (b"PK\x03\x04" + bytes(100), "net.onnx is not an ONNX file"),
        (b"\x80\x04\x95" + bytes(range(100)), "net.onnx is not an ONNX file"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    refuses(path, what)


def test_text_forms_of_onnx_are_not_read(tmp_path: Path) -> None:
    for suffix in ("json", "textproto", "onnxtxt"):
        path = tmp_path / f"net.{suffix}"
        onnx.save(GOOD, path)
        refuses(path, path.name, "is not an ONNX file")


def test_missing_files_and_directories(tmp_path: Path) -> None:
    refuses(tmp_path / "none.onnx", "there is no file", "none.onnx")
    refuses(tmp_path, "is a directory, not an ONNX file")
    refuses("a\0b", "cannot be read")


def test_every_way_to_cut_a_file_short() -> None:
    data = GOOD.SerializeToString()
    import_model(data)
    for length in range(0, len(data), 37):
        refuses(data[:length], "the model ")


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_in_a_model(seed: int) -> None:
    rng, data = random.Random(seed), GOOD.SerializeToString()
    names = [i for i in range(len(data)) if i < 900 or i > len(data) - 300]
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(rng.choice((1, 2, 8))):
            broken[rng.choice(names)] = rng.randrange(256)
        with contextlib.suppress(CompileError):
            import_model(bytes(broken))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    weight = np.ones((6, 2), np.float32)
    weight[3, 1] = value
    for body in ("y = Gemm(x, layer)", "y = MatMul(x, layer)", "y = Mul(x, layer)"):
        proto = model("float[N,6,6] x" if "M" in body else FLAT, body, layer=weight)
        refuses(proto, 'node "y_node"', 'tensor "layer"', "NaN or infinite")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("y = LayerNormalization(x, g)", "epsilon"),
        ("y = LRN<size = 3>(x)", "beta"),
        ("y = Shrink(x)", "lambd"),
    ],
)
def test_attributes_that_are_not_finite(body: str, name: str) -> None:
    proto = model(IMAGE, body, g=(8,))
    for value, what in ((np.nan, "NaN as its"), (np.inf, "an infinite"), (-np.inf, "an infinite")):
        proto.graph.node[0].attribute.append(helper.make_attribute(name, value))
        refuses(proto, 'node "y_node"', f"has {what} {name}")
        proto.graph.node[0].attribute.pop()


def test_infinite_bounds_are_none() -> None:
    proto = model(FLAT, "y = Clip<min = 0.0, max = 1.0>(x)", opset=7)
    proto.graph.node[0].attribute[1].f = np.inf
    (clip,) = import_model(proto).graph.nodes
    assert clip.op == Clip(0.0)


def test_weights_beyond_float32() -> None:
    refuses(model(FLAT, "y = Mul(x, c)", c=np.float64(1e300)), "NaN or infinite")
    refuses(model(FLAT, "y = Div(x, c)", c=np.float32(0)), "divides by zero")


def test_integer_weights() -> None:
    proto = model(FLAT, "y = MatMul(x, w)", w=np.ones((6, 2), np.int8))
    refuses(proto, "y_node", "holds int8, not real numbers")


# What is wrong with the graph: nodes, part of the sentence.
GRAPHS = {
    "undefined": ("y = Relu(missing)", 'value "missing" is not defined'),
    "cycle": ("a = Relu(b) b = Relu(a) y = Relu(b)", "the graph has a cycle"),
    "itself": ("y = Relu(y)", "the graph has a cycle"),
    "twice": ("y = Relu(x) y = Neg(x)", 'value "y" is defined twice'),
    "output": ("z = Relu(x)", 'output "y" is not defined'),
    "no input": ("y = Relu()", '"y_node": Relu has no input 0'),
    "attribute": ('y = Softmax<axis="one">(x)', "attribute axis of the wrong type"),
    "axis": ("y = Softmax<axis=5>(x)", "axis 5"),
    "shape": ("y = Reshape(x, i)", "cannot reshape"),
    "kernel": ("y = MaxPool<kernel_shape=[2,2]>(x)", "kernel_shape (2, 2)"),
    "weight": ("y = Gemm(x, w)", "does not fit"),
    "fold": ("i2 = Concat<axis=3>(i, i) y = Reshape(x, i2)", "Concat cannot be computed"),
    "expand": ("c = Expand(w, i) y = Add(x, c)", "Expand cannot be computed"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_broken_graphs(name: str) -> None:
    body, what = GRAPHS[name]
    refuses(model(FLAT, body, w=(5, 2), i=ints(7, 7)), "the model: ", what)


@pytest.mark.parametrize(
    ("op_type", "inputs", "what"),
    [
        ("EyeLike", [""], "no input 0"),
        ("Unique", [""], "no input 0"),
        ("Concat", ["w", ""], "no input 1"),
        ("Sum", [], "no input 0"),
        ("MatMul", ["x", ""], "no input 1"),
        ("MatMulInteger", ["x", ""], "no input 1"),
        ("ai.onnx.ml.Scaler", [], "no input 0"),
        ("com.microsoft.Attention", ["x", ""], "no weight"),
        ("com.microsoft.FusedMatMul", ["", "x"], "no input 0"),
    ],
)
def test_operands_that_a_node_cannot_be_without(op_type: str, inputs: list[str], what: str) -> None:
    """For some of them onnx would end the process."""
    proto = model("float[N,4,6] x", f"y = {op_type}(x)", 22, w=(6,))
    proto.opset_import.extend(map(helper.make_opsetid, ("com.microsoft", "ai.onnx.ml"), (1, 3)))
    proto.graph.node[0].input[:] = inputs
    refuses(proto, f'"y_node": {op_type} has {what}')


def test_an_operator_that_is_not_supported_may_lack_its_operand() -> None:
    """Here, too, onnx would end the process."""
    proto = model("float[N,6] x", "y = RegexFullMatch(x)", 22)
    proto.graph.node[0].input[:] = [""]
    with pytest.raises(UnsupportedModel, match="RegexFullMatch is not supported"):
        import_model(proto)


def test_models_without_what_they_need() -> None:
    proto = model(FLAT, "y = Relu(x)")
    del proto.opset_import[:]
    refuses(proto, "the model states no opset")
    del proto.graph.output[:]
    refuses(proto, "no outputs")
    proto.ClearField("graph")
    refuses(proto, "is not an ONNX file")


def test_tensors_that_are_not_intact() -> None:
    for dims in ((6, 3), (-1, 2), (1 << 40, 1 << 40)):
        proto = model(FLAT, "y = MatMul(x, w)", w=(6, 2))
        proto.graph.initializer[0].dims[:] = dims
        refuses(proto, 'tensor "w" cannot be read')
    proto.graph.initializer[0].dims[:] = (6, 2)
    proto.graph.initializer[0].data_type = 77
    refuses(proto, 'tensor "w" cannot be read')
    proto.graph.initializer.append(proto.graph.initializer[0])
    proto.graph.initializer[0].data_type = TensorProto.FLOAT
    refuses(proto, 'tensor "w" is defined twice')


def test_what_is_given_twice() -> None:
    """Tools take the first or the last of them."""
    proto = model(FLAT, "y = LeakyRelu<alpha=0.1>(x)")
    proto.graph.node[0].attribute.append(helper.make_attribute("alpha", 0.5))
    refuses(proto, 'node "y_node"', "has the attribute alpha twice")
    proto = model(FLAT, "y = Relu(x)")
    proto.graph.input.append(proto.graph.input[0])
    refuses(proto, 'value "x" is defined twice')
    for domain in ("", "ai.onnx"):
        proto = model(FLAT, "y = Relu(x)")
        proto.opset_import.append(helper.make_opsetid(domain, 17))
        import_model(proto)
        proto.opset_import[-1].version = 9
        refuses(proto, "states the opsets 9 and 17")


def test_arrays_of_absurd_size() -> None:
    many = ints(1 << 20, 1 << 20)
    for body in (
        "c = ConstantOfShape(i) y = Add(x, c)",
        "c = Expand(one, i) y = Add(x, c)",
        "s = Unsqueeze(one, z) c = Tile(s, i) y = Add(x, c)",
        "c = ConstantOfShape(i) d = Shape(c) e = ConstantOfShape(d) y = Add(x, e)",
        "a = Reshape(wide, r) c = MatMul(a, wide) y = Add(x, c)",
    ):
        wide = np.ones((1, 1 << 15), np.float32)
        weights: dict[str, Any] = {
            "one": np.ones(1, np.float32),
            "z": ints(0),
            "wide": wide,
            "r": ints(-1, 1),
        }
        with pytest.raises(UnsupportedModel, match="more than 268435456 elements"):
            import_model(model(FLAT, body, i=many, **weights))
    with pytest.raises(UnsupportedModel, match="more than"):
        import_model(model(FLAT, "y = Pad(x, p)", p=ints(0, 1 << 40, 0, 0)))
    with pytest.raises(UnsupportedModel, match="more than"):
        import_model(model("float[N,1099511627776] x", "y = Relu(x)"))
    body = "y = AveragePool<kernel_shape=[1000000000]>(x)"
    with pytest.raises(CompileError):
        import_model(model("float[N,1,100000000] x", body))


@pytest.mark.parametrize(
    ("body", "opset", "weights", "reason"),
    [
        ("y = Resize(x, , s)", 17, {"s": np.array([1, 1, 1e9], np.float32)}, "more than 4194304"),
        ("y = Upsample(x, s)", 9, {"s": np.array([1, 1, 1e9], np.float32)}, "more than 4194304"),
        ("y = Resize(x, , , s)", 17, {"s": ints(1, 1, 1 << 33)}, "more than 4194304"),
        ("y = Resize(x, , s)", 17, {"s": np.array([1, 1, np.inf], np.float32)}, "positive number"),
        ("y = ConvTranspose<strides=[268435456]>(x, w)", 17, {"w": (1, 1, 2)}, "so long kernels"),
        ("y = AveragePool<kernel_shape=[2], pads=[2000000,0]>(x)", 17, {}, "pads beyond"),
        ("y = Split<axis=1, num_outputs=1099511627776>(x)", 18, {}, "has 1 outputs, but"),
    ],
)
def test_operators_of_absurd_size(
    body: str, opset: int, weights: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CompileError, match=reason):
        import_model(model("float[N,1,4] x", body, opset, **weights))


def test_a_node_without_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(node: Any) -> Any:
        raise MemoryError

    monkeypatch.setitem(cast(dict[str, Any], IMPORTERS), "Relu", none)
    with pytest.raises(InvalidModel, match='node "y_node": Relu needs more memory than there is'):
        import_model(model(FLAT, "y = Relu(x)"))


def _external(folder: Path, change: Callable[[onnx.TensorProto], None]) -> Path:
    """A model with one external tensor of 48 bytes in data.bin, changed."""
    proto = model(FLAT, "y = MatMul(x, w)", w=(6, 2))
    tensor = proto.graph.initializer[0]
    folder.mkdir()
    (folder / "data.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    _entry(tensor, "location", "data.bin")
    change(tensor)
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _entry(tensor: onnx.TensorProto, key: str, value: str) -> None:
    kept = [entry for entry in tensor.external_data if entry.key != key]
    del tensor.external_data[:]
    tensor.external_data.extend([*kept, onnx.StringStringEntryProto(key=key, value=value)])


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("location", "none.bin", "external data in a missing file"),
        ("location", "../secret.bin", "outside the model's folder"),
        ("location", "{tmp}/secret.bin", "outside the model's folder"),
        ("location", "{tmp}/models/data.bin", "outside the model's folder"),
        ("location", "link.bin", "outside the model's folder"),
        ("location", "round.bin", 'tensor "w"'),
        ("location", ".", "external data in a missing file"),
        ("location", "a\0b", "cannot be opened"),
        ("location", "", "external data in a missing file"),
        ("offset", "4", "lies at bytes 4 to 52 of data.bin, which has 48"),
        ("offset", "-4", "lies at bytes"),
        ("offset", "many", "cannot be read"),
        ("length", "12", "has 12 bytes of external data, not 48"),
    ],
)
def test_external_data_that_is_not_there(tmp_path: Path, key: str, value: str, what: str) -> None:
    tmp_path.joinpath("secret.bin").write_bytes(bytes(48))
    location = value.format(tmp=tmp_path)
    path = _external(tmp_path / "models", lambda tensor: _entry(tensor, key, location))
    path.with_name("link.bin").symlink_to(tmp_path / "secret.bin")
    path.with_name("round.bin").symlink_to("round.bin")
    refuses(path, "net.onnx: tensor", what)


def _linked(tmp_path: Path, target: Path) -> Path:
    """A link to a model, and beside it one from its data's location to a file."""
    _external(tmp_path / "blobs", lambda tensor: _entry(tensor, "location", "net.data"))
    folder = tmp_path / "snapshots" / "main"
    folder.mkdir(parents=True)
    (folder / "net.onnx").symlink_to("../../blobs/net.onnx")
    (folder / "net.data").symlink_to(target)
    return folder / "net.onnx"


def test_external_data_beside_the_file_that_is_linked_to(tmp_path: Path) -> None:
    path = _linked(tmp_path, Path("../../blobs/data.bin"))
    (weight, _) = import_model(path).graph.constants
    assert weight.data.shape == (2, 6)
    path.with_name("net.data").unlink()
    refuses(path, "net.onnx: tensor", "external data in a missing file")
    (tmp_path / "blobs" / "data.bin").rename(tmp_path / "blobs" / "net.data")
    import_model(path)


@pytest.mark.parametrize("name", ["secret.bin", "snapshots/secret.bin"])
def test_external_data_elsewhere_than_the_file_that_is_linked_to(tmp_path: Path, name: str) -> None:
    path = _linked(tmp_path, tmp_path / name)
    (tmp_path / name).write_bytes(bytes(48))
    refuses(path, "net.onnx: tensor", "outside the model's folder")


def test_external_data_needs_a_folder(tmp_path: Path) -> None:
    path = _external(tmp_path / "models", lambda tensor: None)
    import_model(path)
    refuses(path.read_bytes(), "which needs a model given as a path")


def test_functions_that_never_end() -> None:
    head = '<opset_import: ["" : 17, "local" : 1], domain: "local">'
    functions = f"{head} f (a) => (b) {{ b = local.g(a) }} {head} g (a) => (b) {{ b = local.f(a) }}"
    refuses(model(FLAT, "y = local.f(x)", functions=functions), "calls itself")


def test_functions_that_explode() -> None:
    head = '<opset_import: ["" : 17, "local" : 1], domain: "local">'
    doubled = [
        f"{head} f{i + 1} (a) => (b) {{ t = local.f{i}(a) b = local.f{i}(t) }}" for i in range(40)
    ]
    functions = "\n".join([f"{head} f0 (a) => (b) {{ b = Relu(a) }}", *doubled])
    refuses(model(FLAT, "y = local.f40(x)", functions=functions), "expand to too many nodes")


def test_graphs_nested_deeply() -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [output])
    for _ in range(20):
        node = helper.make_node(
            "If", ["c"], ["y"], then_branch=graph, else_branch=graph.__class__()
        )
        graph = helper.make_graph([node], "g", [], [output])
    proto = model(FLAT, "y = Relu(x)")
    del proto.graph.node[:]
    proto.graph.node.extend(graph.node)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    assert [outcome.kind for outcome in check_model(proto)] == ["compiled"] * 21
    nested = b""
    for _ in range(5000):  # field 7 of a model: its graph; 1: a node; 5: an attribute; 6: a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            nested = tag + _varint(len(nested)) + nested
    refuses(b"\x3a" + _varint(len(nested)) + nested, "is not an ONNX file")


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def test_a_long_chain_is_no_problem() -> None:
    nodes = "".join(f"v{i + 1} = Neg(v{i}) " for i in range(3000))
    proto = model(FLAT.replace("x", "v0"), f"{nodes} y = Relu(v3000)")
    assert len(import_model(proto).graph.nodes) == 3001


@pytest.mark.parametrize(
    ("size", "shapes", "part"),
    [
        (3, {}, "W of shape (1, 2, 4), not (1, 3, 4), though its hidden_size is 3"),
        (2, {"w": (1, 2, 3)}, "W of shape (1, 2, 3), not (1, 2, 4)"),
        (2, {"w": (2, 2, 4)}, "W of shape (2, 2, 4), not (1, 2, 4)"),
        (2, {"r": (1, 2, 3)}, "R of shape (1, 2, 3), not (1, 2, 2)"),
        (2, {"b": (1, 1)}, "B of shape (1, 1), not (1, 4)"),
        (2, {"h": (1, 1, 1)}, "initial state of shape (1, 1, 1)"),
    ],
)
def test_shapes_of_recurrent_layers(size: int, shapes: dict[str, Any], part: str) -> None:
    given: dict[str, Any] = {"w": (1, 2, 4), "r": (1, 2, 2), "b": (1, 4), "h": (1, 1, 2), **shapes}
    body = f"t = Transpose<perm=[1,0,2]>(x) y = RNN<hidden_size={size}>(t, w, r, b, , h)"
    refuses(model("float[N,3,4] x", body, **given), 'node "y_node": RNN has', part)


@pytest.mark.parametrize(
    ("inputs", "body", "part"),
    [
        (IMAGE, "y = Conv<strides: ints = []>(x, w)", "Conv has an empty list of strides"),
        (IMAGE, "y = MaxPool<kernel_shape=[2,2], pads: ints = []>(x)", "an empty list of pads"),
        (IMAGE, 'y = ConvTranspose<auto_pad="same">(x, v)', "auto_pad 'same', which is none of"),
        ("float[N,4,2,2] x", 'y = DepthToSpace<blocksize=2, mode="RCD">(x)', "none of CRD, DCR"),
        (IMAGE, "y = InstanceNormalization(x, f, f)", "a scale of shape (1,)"),
        (IMAGE, "y = InstanceNormalization(x, f, t)", "a bias of (3,), not of 3 numbers"),
        (FLAT, "y = Pad(x, pads, , axes)", "pads an axis twice: (1, -1)"),
        (FLAT, "y = ReduceSum(x, table)", "has axes of shape (1, 1), not a list"),
        (FLAT, "y = Reshape(x, shape)", "has a shape in 2 axes, not a list"),
        (FLAT, "y, z = Split<axis=1>(x, three)", "of length 6 into (1, 1, 1)"),
        ("float[N,5] x", "y, z = Split<axis=1>(x)", "into 2 parts of unlike lengths"),
    ],
)
def test_what_onnxruntime_refuses(inputs: str, body: str, part: str) -> None:
    weights: dict[str, Any] = {
        "w": (4, 3, 3, 3),
        "v": (3, 4, 3, 3),
        "f": (1,),
        "t": (3,),
        "pads": ints(1, 1, 0, 0),
        "axes": ints(1, -1),
        "table": ints(1)[None],
        "shape": ints(-1, 2, 3)[None],
        "three": ints(1, 1, 1),
    }
    refuses(model(inputs, body, 17 if "axes)" not in body else 18, **weights), part)
