"""Other names for tensors that are called like parts of others.

Passes call the parts that they make of a value ``NAME:PART``. A model may have both a tensor NAME
and one that is called like a part of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import onnx

from .message_checks import nested_nodes, subgraphs

_SIGN, _NEXT = ":", ";"


def distinct_names(graph: onnx.GraphProto) -> dict[str, str]:
    """New names of inner tensors, of which one name is the beginning of another."""
    ordered = sorted({name for one in _graphs(graph) for name in _names(one)} - {""})
    taken, ends = {*ordered}, {end.name for end in (*graph.input, *graph.output)}
    found: dict[str, str] = {}
    for whole in ordered:
        begin, behind = (bisect_left(ordered, whole + sign) for sign in (_SIGN, _NEXT))
        for part in ordered[begin:behind]:
            inner = [name for name in (part, whole) if name not in ends]
            if inner and inner[0] not in found:
                found[inner[0]] = _fresh(inner[0], taken)
    return found


def renamed(graph: onnx.GraphProto, names: dict[str, str]) -> onnx.GraphProto:
    """A copy of a graph in which tensors have new names, those in its bodies included."""
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    for one in _graphs(made):
        for row in (one.initializer, one.input, one.output, one.value_info):
            for entry in row:
                entry.name = names.get(entry.name, entry.name)
        for sparse in one.sparse_initializer:
            sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    for node in nested_nodes(made.node):
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return made


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in nested_nodes(graph.node):
        yield from subgraphs(node)


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (entry.name for row in (graph.initializer, graph.input) for entry in row)
    yield from (name for node in graph.node for name in node.output)


def _fresh(name: str, taken: set[str]) -> str:
    found = name.replace(_SIGN, "_")
    while found in taken:
        found += "_"
    taken.add(found)
    return found
