"""Logic of narrow integers of the inputs, which the network computes, as the host would.

It is the network's unless integers are computed with it: what nothing reads is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qcompiler.frontend.importers.elementwise.casts import CASTS
from qcompiler.frontend.importers.table import computed, imported
from qcompiler.frontend.importers.table_of_views import VIEWS
from qcompiler.frontend.importers.table_of_whole_numbers import gives_conditions
from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.in_front import are_given, note_moved
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value


def with_twins(node: NodeContext) -> NodeContext:
    """The node with its operands as the host computes them, where it can."""
    twins = node.scope.twins
    inputs = (twins.get(i.name, i) if isinstance(i, Value) else i for i in node.inputs)
    return replace(node, inputs=tuple(inputs))


def note_twins(node: NodeContext, results: Sequence[Value | KnownArray]) -> None:
    """Remember the results of a node as the host computes them, if it can."""
    twin = with_twins(node)
    moves = node.op_type in VIEWS and twin.inputs != node.inputs
    if not (moves or gives_conditions(node)) or not _is_known(twin):
        return
    names = tuple(name and f"{name}.host" for name in node.outputs)
    twin = replace(twin, outputs=names)
    try:
        found = imported(node.op_type, twin) if moves else computed(twin)
    except (InvalidNode, Refused):
        return  # the network computes it
    if node.op_type not in CASTS:
        note_moved(node.scope, found)
    for one, other in zip(results, found, strict=False):
        if isinstance(one, Value) and isinstance(other, Value) and one != other:
            node.scope.twins[one.name] = other


def _is_known(node: NodeContext) -> bool:
    """Whether all operands are integers that the host knows, or constant ones."""
    items = [item for item in node.inputs if item is not None]
    values = [item for item in items if isinstance(item, Value)]
    arrays = [array for item in items if isinstance(item, KnownArray) for array in item.arrays]
    whole = all(array.dtype.kind in "iub" for array in arrays)
    whole = whole and all(value.name in node.scope.kinds for value in values)
    return whole and are_given(node.scope, items)
