"""Models that read files which are not theirs, and names that are no text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import InvalidModel, evaluate
from tests.support.onnx_models import ints, model

LAYERS = "h = Gemm(x, w) r = Relu(h) y = Gemm(r, v)"


def external(tensor: onnx.TensorProto, location: str, length: int = 4) -> None:
    """Move a tensor's data to a file."""
    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": str(length)}.items():
        tensor.external_data.append(onnx.StringStringEntryProto(key=key, value=value))


def filled(location: str) -> onnx.ModelProto:
    """Weights that ConstantOfShape fills with a number from a file."""
    body = "w = ConstantOfShape<value = float[1] {1}>(s) y = MatMul(x, w)"
    proto = model("float[N,6] x", body, s=ints(6, 2))
    external(proto.graph.node[0].attribute[0].t, location)
    return proto


def nested(location: str) -> onnx.ModelProto:
    """The same inside a branch of If."""
    inner = filled(location).graph.node[0]
    inner.output[0] = "made"
    branch = helper.make_graph([inner], "b", [], [helper.make_empty_tensor_value_info("made")])
    proto = model("float[N,6] x", "y = MatMul(x, w)", s=ints(6, 2), c=np.array(True))
    node = helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)
    proto.graph.node.insert(0, node)
    return proto


def called(location: str) -> onnx.ModelProto:
    """The same inside a function."""
    functions = '<domain: "local", opset_import: ["" : 17]> fill (s) => (w)'
    functions += " { w = ConstantOfShape<value = float[1] {1}>(s) }"
    body = "w = local.fill(s) y = MatMul(x, w)"
    proto = model("float[N,6] x", body, functions=functions, s=ints(6, 2))
    external(proto.functions[0].node[0].attribute[0].t, location)
    return proto


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a model beside the current one; each holds a file of the same name."""
    for index, name in enumerate(("models", "here")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.bin").write_bytes(np.float32(3 + index).tobytes())
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "models"


@pytest.mark.parametrize("make", [filled, nested, called])
def test_attributes_read_the_folder_of_their_model(make: Any, folder: Path) -> None:
    path = folder / "net.onnx"
    path.write_bytes(make("data.bin").SerializeToString())
    (found,) = evaluate(import_model(path).graph, np.ones((1, 6), np.float32))
    np.testing.assert_array_equal(found, [[18, 18]])


@pytest.mark.parametrize("make", [filled, nested, called])
@pytest.mark.parametrize("location", ["../here/data.bin", "/dev/zero", "none.bin"])
def test_attributes_read_nothing_else(make: Any, location: str, folder: Path) -> None:
    path, proto = folder / "net.onnx", make(location)
    path.write_bytes(proto.SerializeToString())
    for source in (path, path.read_bytes(), proto):
        with pytest.raises(InvalidModel, match="external data"):
            import_model(source)


@pytest.mark.parametrize("make", [filled, nested, called])
def test_models_without_a_folder_read_no_file(make: Any, folder: Path) -> None:
    proto = make("data.bin")
    for source in (proto.SerializeToString(), proto):
        with pytest.raises(InvalidModel, match="needs a model given as a path"):
            import_model(source)


def renamed(proto: onnx.ModelProto, old: str, new: str) -> None:
    """Give a value another name wherever it stands."""
    graph = proto.graph
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new if value.name == old else value.name


def named(place: str) -> onnx.ModelProto:
    """A model with the name QQ in one place."""
    proto = model("float[N,6] x", LAYERS, w=(6, 3), v=(3, 2))
    node = proto.graph.node[0]
    match place:
        case "graph":
            proto.graph.name = "QQ"
        case "node":
            node.name = "QQ"
        case "op_type":
            node.op_type = "QQ"
        case "domain":
            node.domain = "QQ"
        case "attribute":
            node.attribute.append(helper.make_attribute("QQ", 1))
        case "axis":
            proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "QQ"
        case "opset":
            proto.opset_import.append(helper.make_opsetid("QQ", 1))
        case _:
            renamed(proto, place, "QQ")
    return proto


PLACES = ("graph", "node", "op_type", "domain", "attribute", "axis", "opset", *"xhryw")


@pytest.mark.parametrize("place", PLACES)
def test_names_that_are_no_text(place: str) -> None:
    data = named(place).SerializeToString().replace(b"QQ", b"\xff\xfe")
    for source in (data, onnx.ModelProto.FromString(data)):
        with pytest.raises(InvalidModel, match="is no UTF-8 text") as caught:
            import_model(source)
        assert len(caught.value.diagnostics) == 1


def test_notes_may_be_anything() -> None:
    proto = model("float[N,6] x", LAYERS, w=(6, 3), v=(3, 2))
    proto.doc_string = proto.graph.doc_string = "QQ"
    import_model(proto.SerializeToString().replace(b"QQ", b"\xff\xfe"))
