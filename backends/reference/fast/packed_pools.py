"""Max pools that take what bytes are packed for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qcompiler.backends.reference.kernels.byte_populations import pools_packed
from qcompiler.backends.reference.kernels.population_kernels import Stack
from qcompiler.ir import Node
from qcompiler.ir.snn import First


def only_pool(stack: Stack, readers: Mapping[str, Sequence[Node]]) -> Node | None:
    """A max pool, if it is all that reads a stack, and can take packed outputs."""
    if not stack.ends_alike:
        return None
    names = {rung.name for one in stack.sums for rung in one.ladder.rungs}
    users = [node for name in names for node in readers[name]]
    pools = [node for node in users if isinstance(node.op, First)]
    same = len(pools) == len(users) and len(set(map(pool_of, pools))) == 1
    return pools[0] if same and pools_packed(stack, pool_of(pools[0])) else None


def pool_of(node: Node) -> First:
    """A max pool without its time."""
    assert isinstance(node.op, First)
    return replace(node.op, start=None)
