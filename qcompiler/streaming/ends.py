"""Both ends of a state in a graph: the clip that ends its output, and what becomes spikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph, Node, Range, Value
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Dense, Rescale, SumPool
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.passes.folding.neighbours import affine
from qcompiler.passes.folding.rescaling import rescale, rescale_input
from qcompiler.passes.quantization.levels import coded_inputs

from .clipped_ends import through_clips

_LINEAR = Conv | Dense | Add | Affine | SumPool


def with_clip(
    graph: Graph,
    state: State,
    bounds: Range,
    factor: Array | None = None,
    states: Sequence[State] = (),
) -> Graph:
    """The graph in which a clip of its own ends a state's output, and other outputs like it.

    With a ``factor``, that is what the host multiplies the state by in front of its input; the
    bounds are those of the product, and the host divides by it behind the output. Outputs of other
    ``states`` have clips of their own.
    """
    alike = _alike(graph, state, states)
    graph = graph if factor is None else _scaled(graph, state, factor, bounds, alike)
    whole = graph.outputs[graph.output_names.index(state.output)]
    clipped = Value(graph.fresh(f"{whole.name}:state"), whole.type)
    origin = made.origin if (made := graph.producer(whole)) else ()
    clip = Node(Clip(*bounds), (whole,), clipped, origin)
    nodes = [clip]
    if factor is not None:
        behind = _of_rank(1 / factor, _input(graph, state).type.shape, whole.type.shape)
        end = Value(graph.fresh(f"{clipped.name}:value"), whole.type.layout)
        nodes.append(rescale(clipped, Rescaling(0 * behind, behind), end, origin))
    outputs = _with_outputs(graph, alike, nodes[-1].result)
    return replace(graph, nodes=(*graph.nodes, *nodes), outputs=outputs)


def can_rescale(graph: Graph, state: State) -> bool:
    """Whether the network reads a state, and computes the next one; the host only moves others."""
    value, whole = _input(graph, state), graph.outputs[graph.output_names.index(state.output)]
    read = graph.users(value) and not graph.is_output(value)
    return bool(read) and graph.producer(whole) is not None


def ends_of(graph: Graph, state: State) -> Iterator[str]:
    """The names of what becomes spikes at both ends, and of the input."""
    yield state.input
    names = [value.name for value in graph.inputs]
    yield coded_inputs(graph)[names.index(state.input)].name
    output = graph.outputs[graph.output_names.index(state.output)]
    made = graph.producer(output)
    yield made.operands[0].name if made and isinstance(made.op, Rescale) else output.name


def layer_of(graph: Graph, state: State) -> Node | None:
    """What computes the next state; None if that is an input."""
    return graph.producer(graph.outputs[graph.output_names.index(state.output)])


def _input(graph: Graph, state: State) -> Value:
    return next(value for value in graph.inputs if value.name == state.input)


def _alike(graph: Graph, state: State, states: Sequence[State]) -> set[str]:
    """The names of a state's output, and of those of the same value that belong to no state."""
    named = dict(zip(graph.output_names, graph.outputs, strict=True))
    others = {other.output for other in states} - {state.output}
    return {name for name in named if named[name] == named[state.output]} - others


def _with_outputs(graph: Graph, names: set[str], value: Value) -> tuple[Value, ...]:
    """The outputs, of which those of these names are a value."""
    both = zip(graph.output_names, graph.outputs, strict=True)
    return tuple(value if name in names else output for name, output in both)


def _scaled(graph: Graph, state: State, factor: Array, bounds: Range, alike: set[str]) -> Graph:
    """The graph whose state is a factor times as large at both ends.

    Layers that read the next state divide its elements in their weights. Functions, which have no
    weights, read what it was before. A clip is one of the product, within the ``bounds`` of its
    code, where it can be.
    """
    value, whole = _input(graph, state), graph.outputs[graph.output_names.index(state.output)]
    factors = _of_rank(factor, value.type.shape, whole.type.shape)
    raw, back = (Value(graph.fresh(f"{whole.name}:{end}"), whole.type) for end in ("raw", "back"))
    divides = all(isinstance(user.op, _LINEAR) for user in graph.users(whole))
    scaled = whole if divides else Value(graph.fresh(f"{whole.name}:scaled"), whole.type)
    nodes: list[Node] = []
    for node in graph.nodes:
        operands = (back if divides and one == whole else one for one in node.operands)
        node = replace(node, operands=tuple(operands))
        if node.result != whole:
            nodes.append(node)
            continue
        made = through_clips(graph, node, factors, bounds, scaled, stays=not divides)
        if made is None:
            node = replace(node, result=raw) if divides else node
            nodes += [node, affine(node.result, factors, 0 * factors, scaled, node.origin)]
        else:
            nodes += made if divides else [node, *made]
        if divides:
            nodes.append(affine(whole, 1 / factors, 0 * factors, back, node.origin))
    others = back if divides else whole
    outputs = tuple(others if output == whole else output for output in graph.outputs)
    graph = replace(graph, nodes=tuple(nodes), outputs=outputs)
    graph = replace(graph, outputs=_with_outputs(graph, alike, scaled))
    return rescale_input(graph, value, Rescaling(0 * factor, factor))


def _of_rank(factor: Array, shape: tuple[int, ...], other: tuple[int, ...]) -> Array:
    """A factor that spreads over a shape, for another one that differs in axes of length 1."""
    kept = (size for size, length in zip(factor.shape, shape, strict=True) if length != 1)
    return factor.reshape([1 if length == 1 else next(kept) for length in other])
