"""Reading ONNX models from files, bytes or protobuf messages; nothing in them is trusted."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import onnx.inliner

from qcompiler.ir import InvalidModel
from qcompiler.ir.files import open_regular, read_regular

from .distinct_names import distinct_names, renamed
from .fused_nodes import apart
from .message_checks import check_texts, nested_nodes, take_in_tensors
from .onnx_tensor import Array, TensorReader

_LARGEST = (1 << 31) - 1  # bytes of a protobuf message
_MOST_NODES = 1 << 17  # functions expanded; reading as many takes seconds

Source: TypeAlias = "str | Path | bytes | onnx.ModelProto"
_Function: TypeAlias = "tuple[str, str, str]"


@dataclass(frozen=True)
class Model:
    """A model as it was read: its graph without functions, and its initialisers as arrays.

    ``file`` is what messages call the model; ``opset`` the version of the default domain, None if
    the model names none.
    """

    file: str
    graph: onnx.GraphProto
    opset: int | None
    arrays: dict[str, Array]
    tensors: TensorReader


def read_model(source: Source) -> Model:
    """Read a model and its weights; functions are inlined.

    Raises InvalidModel, naming the file, if it is not an intact ONNX model.
    """
    proto, tensors = _open(source)
    file = tensors.file
    if not proto.HasField("graph"):
        raise InvalidModel(f"{file} is not an ONNX file")
    if not proto.graph.output:
        raise InvalidModel(f"{file}: the model has no outputs")
    check_texts(proto, file)
    take_in_tensors(proto, tensors)
    arrays = initializers(proto.graph, tensors)
    proto = _inline(proto, file)
    opset = _opset(proto, file)
    graph = apart(proto.graph, opset or 0)
    if names := distinct_names(graph):
        graph = renamed(graph, names)
        arrays = {names.get(name, name): array for name, array in arrays.items()}
    return Model(file, graph, opset, arrays, tensors)


def _opset(proto: onnx.ModelProto, file: str) -> int | None:
    """The one version of ONNX's operators that a model states, if it does."""
    stated = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    if len(stated) > 1:
        text = " and ".join(map(str, sorted(stated)))
        raise InvalidModel(f"{file}: the model states the opsets {text}: export it again")
    return stated.pop() if stated else None


def _open(source: Source) -> tuple[onnx.ModelProto, TensorReader]:
    if isinstance(source, onnx.ModelProto):
        return source, TensorReader("the model", None, owned=False)
    if isinstance(source, bytes):
        return _parse(source, "the model"), TensorReader("the model", None, owned=True)
    try:
        path = Path(source)
    except TypeError as error:
        kind = type(source).__name__
        raise InvalidModel(
            f"a model is a path, bytes, an onnx.ModelProto, or a Graph, not {kind}"
        ) from error
    if source == "":
        raise InvalidModel("the path of the model is empty")
    return _parse(_bytes(path), path.name), TensorReader(path.name, path, owned=True)


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, _LARGEST)
    except IsADirectoryError as error:
        raise InvalidModel(f"{path} is a directory, not an ONNX file") from error
    except FileNotFoundError as error:
        raise InvalidModel(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise InvalidModel(
                f"{path.name} is larger than 2 GB, the limit of ONNX files: "
                "save its weights as external data"
            ) from error
        raise InvalidModel(f"{path} cannot be read: {error}") from error


def _parse(data: bytes, file: str) -> onnx.ModelProto:
    if not data:
        raise InvalidModel(f"{file} is empty")
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's DecodeError
        raise InvalidModel(f"{file} is not an ONNX file, or is truncated") from error
    return model


def initializers(graph: onnx.GraphProto, tensors: TensorReader) -> dict[str, Array]:
    """The initialisers of a graph by name; InvalidModel if one is not intact."""
    arrays: dict[str, Array] = {}
    for tensor in graph.initializer:
        if tensor.name in arrays:
            raise InvalidModel(f'{tensors.file}: tensor "{tensor.name}" is defined twice')
        arrays[tensor.name] = tensors.read(tensor)
    return arrays


def _inline(proto: onnx.ModelProto, file: str) -> onnx.ModelProto:
    nodes, size = _expanded(proto, file)
    if nodes > _MOST_NODES or size > _LARGEST:
        raise InvalidModel(
            f"{file}: the model's functions expand to too many nodes: {nodes:,}, of {size:,} "
            f"bytes; at most {_MOST_NODES:,} nodes and 2 GB are read"
        )
    if not proto.functions:
        return proto
    try:
        return onnx.inliner.inline_local_functions(proto)
    except Exception as error:  # whatever the C++ code throws
        raise InvalidModel(f"{file}: the functions of the model cannot be inlined") from error


def _expanded(proto: onnx.ModelProto, file: str) -> tuple[int, int]:
    """Nodes that inlining gives, and their bytes; InvalidModel if a function calls itself."""
    bodies = {
        _key(f.domain, f.name, f.overload): list(nested_nodes(f.node)) for f in proto.functions
    }
    calls = {key: [c for c in map(_callee, nodes) if c in bodies] for key, nodes in bodies.items()}
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        raise InvalidModel(f"{file}: a function of the model calls itself") from error
    sizes: dict[_Function, tuple[int, int]] = {}
    for key in order:
        sizes[key] = _total(bodies[key], sizes)
    return _total(nested_nodes(proto.graph.node), sizes)


def _total(
    nodes: Iterable[onnx.NodeProto], sizes: Mapping[_Function, tuple[int, int]]
) -> tuple[int, int]:
    found = [sizes.get(_callee(node)) or (1, node.ByteSize()) for node in nodes]
    return sum(count for count, _ in found), sum(size for _, size in found)


def _callee(node: onnx.NodeProto) -> _Function:
    return _key(node.domain, node.op_type, node.overload)


def _key(domain: str, name: str, overload: str) -> _Function:
    return ("" if domain == "ai.onnx" else domain, name, overload)


def identity(model: Any) -> dict[str, str]:
    """What a manifest says of a model: its file's name and hash, or what kind of object it is."""
    if isinstance(model, str | Path):
        with open_regular(model) as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return {"file": Path(model).name, "sha256": digest.hexdigest()}
    return {"file": type(model).__name__}
