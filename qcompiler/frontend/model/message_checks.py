"""What is checked of a whole ONNX message before anything reads it: its texts, and its tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import onnx

from qcompiler.ir import Diagnostic, InvalidModel

from .onnx_tensor import TensorReader

_NOTES = frozenset({"doc_string", "metadata_props"})  # which nothing reads
_OF_TENSORS = ("name", "external_data")  # the rest of a tensor can be large


def check_texts(message: Any, file: str) -> None:
    """Raise InvalidModel if a name is no UTF-8: protobuf hands such names over as bytes."""
    for where, text in _texts(message):
        if isinstance(text, bytes):
            what = f"{file}: the {where} is no UTF-8 text: {text[:40]!r}"
            help_ = "the file is damaged, or written in another encoding: export the model again"
            raise InvalidModel(Diagnostic(what, (), help_))


def _texts(message: Any) -> Iterator[tuple[str, str | bytes]]:
    for field, value in _fields(message):
        if field.name in _NOTES or field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        one = isinstance(value, str | bytes) or hasattr(value, "ListFields")
        items = [value] if one else value
        if field.type == field.TYPE_STRING:
            yield from ((f"{field.name} of a {message.DESCRIPTOR.name}", one) for one in items)
        else:
            yield from chain.from_iterable(map(_texts, items))


def _fields(message: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(message, onnx.TensorProto):
        found: Iterable[tuple[Any, Any]] = message.ListFields()
        return found
    by_name = message.DESCRIPTOR.fields_by_name
    return [(by_name[name], getattr(message, name)) for name in _OF_TENSORS]


def repeated(names: Iterable[str]) -> list[str]:
    """The names that are there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def take_in_tensors(proto: onnx.ModelProto, tensors: TensorReader) -> None:
    """Bring the external data of all attributes into the message, those of bodies included.

    Whatever evaluates a node later would else read them from a place that it chooses. Initializers
    are read one by one. Raises InvalidModel.
    """
    bodies = [function.node for function in proto.functions]
    for nodes in (proto.graph.node, *bodies):
        for node in nested_nodes(nodes):
            for tensor in _tensors(node):
                tensors.take_in(tensor)


def _tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        sparse = [*attribute.sparse_tensors]
        if attribute.HasField("sparse_tensor"):
            sparse.append(attribute.sparse_tensor)
        for one in sparse:
            yield from (one.values, one.indices)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds, such as the body of a loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nested_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """All nodes, those of subgraphs included."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from nested_nodes(graph.node)
