"""Converts a graph to a networkx graph, for use with other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx

    from qcompiler.ir.graph import Graph


def to_networkx(graph: Graph) -> networkx.DiGraph[Any]:
    """Values as nodes, operands as edges.

    A node of the result is the name of a value; its attributes are ``op`` (mnemonic, or
    ``input``), ``type`` and ``origin`` (names of ONNX nodes). An edge carries ``operand``, the
    position at which its source is read. Constants are left out. InvalidGraph for what is no
    graph.
    """
    import networkx

    from qcompiler.ir.given import check_graph
    from qcompiler.ir.graph import Value

    check_graph(graph)
    found: networkx.DiGraph[Any] = networkx.DiGraph(name=graph.name)
    for value in graph.inputs:
        found.add_node(value.name, op="input", type=str(value.type), origin=())
    for node in graph.nodes:
        name, kind = node.result.name, str(node.result.type)
        found.add_node(name, op=node.op.mnemonic, type=kind, origin=node.origin)
        for position, operand in enumerate(node.operands):
            if isinstance(operand, Value):
                found.add_edge(operand.name, name, operand=position)
    return found
