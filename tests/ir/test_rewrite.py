"""The rewriting driver visits what a change can have woken, and gives what sweeps would give."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from qcompiler.ir import (
    Builder,
    Graph,
    Node,
    Rule,
    Tensor,
    Value,
    drop_dead,
    rewrite,
    show,
    substitute,
)
from qcompiler.ir.ann import Add, Clip
from qcompiler.ir.rewriting.rewriting_order import Order
from qcompiler.ir.view import Reshape

KIND = Tensor((2, 3))


def sweeps(graph: Graph, *rules: Rule) -> Graph:
    """The driver in its simplest form: all nodes again and again."""
    graph, changed = drop_dead(graph), True
    while changed:
        changed = False
        for node in graph.nodes:
            if graph.producer(node.result) is not node:
                continue
            found = next((made for rule in rules if (made := rule(node, graph)) is not None), None)
            if found is not None:
                graph, changed = drop_dead(replaced(graph, node, found)), True
    return graph


def replaced(graph: Graph, node: Node, found: tuple[Node, ...] | Value) -> Graph:
    at = graph.nodes.index(node)
    new = () if isinstance(found, Value) else found
    rest = () if new else (node,)
    graph = replace(graph, nodes=(*graph.nodes[:at], *rest, *new, *graph.nodes[at + 1 :]))
    value = found if isinstance(found, Value) else found[-1].result
    return graph if value == node.result else substitute(graph, {node.result.name: value})


def random_graph(rng: np.random.Generator, size: int) -> Graph:
    builder = Builder()
    values = [builder.input("x", KIND), builder.input("y", KIND)]
    for index in range(size):
        op = [Clip(0.0, 1.0), Clip(0.5), Reshape((2, 3)), Add(), Add()][rng.integers(5)]
        count = 2 if isinstance(op, Add) else 1
        operands = [values[-1 - min(rng.geometric(0.4), len(values)) % len(values)]]
        operands += [values[rng.integers(len(values))] for _ in range(count - 1)]
        values.append(builder.add(op, *operands, name=f"v{index}"))
    return builder.build([values[rng.integers(len(values))], values[-1], values[-2]])


def reshape_is_nothing(node: Node, graph: Graph) -> Value | None:
    (first, *_) = node.operands
    return first if isinstance(node.op, Reshape) and isinstance(first, Value) else None


def nested_sum(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    inner = graph.producer(node.operands[-1])
    if not isinstance(node.op, Add) or inner is None or not isinstance(inner.op, Add):
        return None
    if graph.only_user(inner.result) is not node:
        return None
    return (replace(node, operands=(*node.operands[:-1], *inner.operands)),)


def clip_of_sum(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """The clip of a sum that two nodes read is copied before its operands."""
    inner = graph.producer(node.operands[0])
    if not isinstance(node.op, Clip) or inner is None or not isinstance(inner.op, Add):
        return None
    if len(graph.users(inner.result)) != 2 or graph.is_output(inner.result):
        return None
    made: list[Node] = []
    for operand in inner.operands:
        name = graph.fresh(f"{node.result.name}:part{len(made)}")
        made.append(Node(node.op, (operand,), Value(name, KIND)))
    return (*made, replace(node, op=Add(), operands=tuple(part.result for part in made)))


def clip_twice(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Two clips are one, which has a range, so that its readers change."""
    inner = graph.producer(node.operands[0])
    if not isinstance(node.op, Clip) or inner is None or not isinstance(inner.op, Clip):
        return None
    result = node.result.ranged((0.0, 1.0))
    return (replace(node, operands=inner.operands, result=result),)


def test_draft_gives_what_sweeps_give() -> None:
    rules = (reshape_is_nothing, nested_sum, clip_of_sum, clip_twice)
    changed = 0
    for seed in range(60):
        graph = random_graph(np.random.default_rng(seed), 4 + seed % 25)
        found = rewrite(graph, *rules)
        assert show(found) == show(sweeps(graph, *rules)), seed
        changed += len(found.nodes) != len(graph.nodes)
    assert changed > 40


@pytest.mark.parametrize("size", [50, 400])
def test_rules_look_at_each_node_a_few_times(size: int) -> None:
    tried: Counter[str] = Counter()

    def pairs(node: Node, graph: Graph) -> tuple[Node, ...] | None:
        tried[node.op.mnemonic] += 1
        return clip_twice(node, graph) or nested_sum(node, graph)

    builder = Builder()
    value = total = builder.input("x", KIND)
    for index in range(size):
        value = builder.add(Clip(0.0, 1.0), value, name=f"clip{index}")
        value = builder.add(Reshape((2, 3)), value, name=f"view{index}")
        total = builder.add(Add(), value, total, name=f"sum{index}")
    graph = builder.build([total])
    found = rewrite(graph, pairs)
    assert len(found.nodes) < len(graph.nodes)
    assert sum(tried.values()) <= 3 * len(graph.nodes)


def test_order_makes_room() -> None:
    order = Order(["a", "b"], gap=2)
    for index in range(20):
        order.replace("b", [f"c{index}", "b"])
    assert list(order) == ["a", *(f"c{index}" for index in range(20)), "b"]
    numbers = [order.places[name].number for name in order]
    assert numbers == sorted(set(numbers))
    order.remove("b")
    order.replace("c19", ["d", "e"])
    assert list(order)[-2:] == ["d", "e"]
