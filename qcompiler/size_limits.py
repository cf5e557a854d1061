"""What a network will take, estimated before it is lowered: neurons, synapses, and memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from .arguments import number
from .ir import Constant, Diagnostic, Graph, Node, PipelineError, Value, size
from .ir.ann import Add, Affine, Concat, Conv, Dense, Embed, Function, MaxPool, Multiply, SumPool
from .ir.memory import machine_memory
from .ir.prologue import MOST_ON_HOST
from .ir.view import View
from .passes.activations.gates import product_neurons, source_of

MOST_NEURONS = 100_000_000
PRODUCT_NEURONS = 100_000  # that products may take without being asked for: less than a chip has
_GB = 1e9
_BYTES_PER_WEIGHT, _BYTES_PER_NEURON = 32, 512  # while fitting to calibration data; as measured
_SUMS = (Add, Conv, Dense, SumPool)
_OWN_NEURONS = (Add, Conv, Dense, Function, MaxPool, Multiply, SumPool)
_IN_FRONT = "compute this node on the data before the model, and give its result as an input"
_HELP = "use a smaller model, cut the model before this layer, or raise {} if the machine can do it"


@dataclass(frozen=True)
class _Layer:
    """Neurons, synapses, weights, and bytes of memory of a layer."""

    node: Node
    neurons: int
    synapses: int
    weights: int

    @property
    def memory(self) -> int:
        return self.weights * _BYTES_PER_WEIGHT + self.neurons * _BYTES_PER_NEURON


def oversized(
    graph: Graph, max_neurons: int | None, max_memory: float | None
) -> tuple[Diagnostic, ...]:
    """What of a graph at the tensor level is beyond bounds, with the largest layer.

    ``max_neurons`` None is 100 million, ``max_memory`` (GB) None the memory of the machine. The
    layers behind folding can be fewer, so the figures are rough. Raises PipelineError for bounds
    that are no positive numbers.
    """
    layers = list(_layers(graph))
    neurons, memory = limits(max_neurons, max_memory)
    inputs = sum(size(value.type) for value in graph.inputs)
    total = inputs + sum(layer.neurons for layer in layers)
    synapses = sum(layer.synapses for layer in layers)
    needed = sum(layer.memory for layer in layers) + inputs * _BYTES_PER_NEURON
    whole = f"the network has about {total:,} neurons and {synapses:,} synapses"
    found = []
    if total > neurons:
        what = f"{whole}, more than the bound of {neurons:,} neurons"
        found.append(_finding(what, max(layers, key=lambda layer: layer.neurons), "--max-neurons"))
    if needed > memory:
        takes = f"compiling takes about {needed / _GB:,.3g} GB of memory"
        what = f"{whole}: {takes}, more than the bound of {memory / _GB:,.3g} GB"
        found.append(_finding(what, max(layers, key=lambda layer: layer.memory), "--max-memory"))
    return tuple(found)


def oversized_prologue(prologue: Graph | None) -> tuple[Diagnostic, ...]:
    """A finding if the host computes more in front of the network than it may, for one frame."""
    nodes = () if prologue is None else prologue.nodes
    total = sum(map(_numbers, nodes))
    if total <= MOST_ON_HOST:
        return ()
    node = max(nodes, key=_numbers)
    what = (
        f"the host computes {total:,} numbers of each frame in front of the network, more than the "
        f"bound of {MOST_ON_HOST:,}; {_numbers(node):,} of them are for %{node.result.name}"
    )
    return (Diagnostic(what, node.origin, _IN_FRONT),)


def _numbers(node: Node) -> int:
    """Numbers of a node on the host: its result, and constants but for tables."""
    arrays = () if isinstance(node.op, Embed) else node.arrays
    return size(node.result.type) + sum(array.size for array in arrays)


def costly_products(graph: Graph, t_max: int) -> tuple[Diagnostic, ...]:
    """A finding if products take more neurons than they may without being asked for.

    They may take as many as the rest of the network, or 100,000.
    """
    products, free = list(products_of(graph, t_max)), max(PRODUCT_NEURONS, _other_neurons(graph))
    if (total := sum(neurons for _, neurons in products)) <= free:
        return ()
    node, most = max(products, key=lambda product: product[1])
    what = (
        f"products of two values take about {total:,} neurons at t_max {t_max}, more than the "
        f"{free:,} that need no option; the largest is %{node.result.name} with {most:,}"
    )
    halved = (1 << bits for bits in reversed(range(1, (t_max - 1).bit_length())))
    smaller = next((t for t in halved if _product_neurons(graph, t) <= free), None)
    fewer = f", use --t-max {smaller}," if smaller else ""
    help_ = f"give --allow-products{fewer} or cut the model before this node"
    return (Diagnostic(what, node.origin, help_),)


def _product_neurons(graph: Graph, t_max: int) -> int:
    return sum(neurons for _, neurons in products_of(graph, t_max))


def least_neurons(graph: Graph, t_max: int) -> int:
    """About how many neurons a folded graph takes, one for each value of a function."""
    return _other_neurons(graph) + _product_neurons(graph, t_max)


def _other_neurons(graph: Graph) -> int:
    """About the neurons of inputs, layers and functions."""
    own = sum(layer.neurons for layer in _layers(graph) if not isinstance(layer.node.op, Multiply))
    return own + sum(size(value.type) for value in graph.inputs)


def products_of(graph: Graph, t_max: int) -> Iterator[tuple[Node, int]]:
    """Each node that multiplies two values, and about how many neurons it takes.

    Bits count for the first product of an operand, and sums where not layers alone read them.
    """
    known: set[Value] = set()
    for node in graph.nodes:
        if isinstance(node.op, Multiply):
            factors = (source_of(graph, x) for x in node.operands[:2] if isinstance(x, Value))
            source = min(reversed([*factors]), key=lambda value: size(value.type))
            products, operands = size(node.result.type), size(source.type)
            neurons = product_neurons(t_max, products, 0 if source in known else operands)
            known.add(source)
            yield node, neurons - (products if _is_summed(graph, node.result) else 0)


def _is_summed(graph: Graph, value: Value) -> bool:
    """Whether layers that sum the gates of a product themselves are all that reads it."""
    if graph.is_output(value) or not (users := graph.users(value)):
        return False
    return all(
        isinstance(user.op, _SUMS)
        or (isinstance(user.op, Affine | Concat | View) and _is_summed(graph, user.result))
        for user in users
    )


def _finding(what: str, layer: _Layer, option: str) -> Diagnostic:
    name, parts = layer.node.result.name, f"{layer.neurons:,} neurons, {layer.weights:,} weights"
    text = f"{what}; the largest layer is %{name} with {parts}"
    return Diagnostic(text, layer.node.origin, _HELP.format(option))


def _layers(graph: Graph) -> Iterator[_Layer]:
    for node in graph.nodes:
        weights = sum(o.data.size for o in node.operands if isinstance(o, Constant))
        own = isinstance(node.op, _OWN_NEURONS)
        neurons = size(node.result.type) if own else 0
        yield _Layer(node, neurons, _fan_in(node) * neurons, weights)


def _fan_in(node: Node) -> int:
    """Synapses to one neuron."""
    match node.op:
        case Conv() | Dense():
            return prod(node.operands[1].type.shape[1:])
        case MaxPool() | SumPool():
            return prod(node.op.kernel)
    return len(node.operands)


def limits(max_neurons: int | None, max_memory: float | None) -> tuple[int, float]:
    """Most neurons, and bytes of memory; PipelineError for bounds that are no positive numbers."""
    for name, bound in (("max_neurons", max_neurons), ("max_memory", max_memory)):
        if bound is not None and not 0 < number(bound, name) < _GB * _GB:
            raise PipelineError(f"{name} must be a positive number, not {bound!r}")
    neurons = MOST_NEURONS if max_neurons is None else int(max_neurons)
    return neurons, machine_memory() if max_memory is None else max_memory * _GB
