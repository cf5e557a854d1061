"""Both ends of a state in a graph: the clip that ends its output, and what becomes spikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qcompiler.backends.program.states import State
from qcompiler.ir import Graph, Node, Range, Value, drop_dead
from qcompiler.ir.ann import Clip, Rescale
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.coding import Rescaling
from qcompiler.passes.folding.rescaling import rescale
from qcompiler.passes.quantization.levels import coded_inputs

from .factors import of_rank, with_factor
from .in_front import Picks
from .views import views_of, with_views


def with_clip(
    graph: Graph,
    state: State,
    bounds: Range,
    factor: Array | None = None,
    states: Sequence[State] = (),
    picks: Picks | None = None,
) -> Graph:
    """The graph in which a clip of its own ends a state's output, and outputs that are views of it.

    With a ``factor``, that is what the host multiplies the state by in front of its input; the
    bounds are those of the product, and the host divides by it behind the output. ``picks`` are
    the operands of products that it goes to. Outputs of other ``states`` have clips of their own.
    """
    views = views_of(graph, state, states)
    value, whole = _input(graph, state), _output(graph, state)
    graph = drop_dead(with_views(graph, dict.fromkeys(views, ()), whole))
    if factor is not None:
        graph, scaled = with_factor(graph, value, whole, factor, bounds, picks or {})
        graph = drop_dead(with_views(graph, dict.fromkeys(views, ()), scaled))
        whole = scaled
    clipped = Value(graph.fresh(f"{whole.name}:state"), whole.type)
    origin = made.origin if (made := graph.producer(whole)) else ()
    clip = Node(Clip(*bounds), (whole,), clipped, origin)
    nodes = [clip]
    if factor is not None:
        behind = of_rank(1 / factor, value.type.shape, whole.type.shape)
        end = Value(graph.fresh(f"{clipped.name}:value"), whole.type.layout)
        nodes.append(rescale(clipped, Rescaling(0 * behind, behind), end, origin))
    graph = replace(graph, nodes=(*graph.nodes, *nodes))
    return with_views(graph, views, nodes[-1].result)


def can_rescale(graph: Graph, state: State) -> bool:
    """Whether the network reads a state, and computes the next one; the host only moves others."""
    value = _input(graph, state)
    read = graph.users(value) and not graph.is_output(value)
    return bool(read) and layer_of(graph, state) is not None


def ends_of(graph: Graph, state: State) -> Iterator[str]:
    """The names of what becomes spikes at both ends, and of the input."""
    yield state.input
    names = [value.name for value in graph.inputs]
    yield coded_inputs(graph)[names.index(state.input)].name
    output = _output(graph, state)
    made = graph.producer(output)
    yield made.operands[0].name if made and isinstance(made.op, Rescale) else output.name


def layer_of(graph: Graph, state: State) -> Node | None:
    """What computes the next state; None if that is an input."""
    return graph.producer(_output(graph, state))


def _input(graph: Graph, state: State) -> Value:
    return next(value for value in graph.inputs if value.name == state.input)


def _output(graph: Graph, state: State) -> Value:
    return graph.outputs[graph.output_names.index(state.output)]
