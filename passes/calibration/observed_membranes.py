"""Bounds of inputs, currents and membranes of a population, observed on calibration images.

With the levels q of its sources, a neuron's input k steps before the read step, its current and the
change of its membrane up to then are

    A(k) = sum W [q = k]        U(k) = A(k) + A(k + 1) + ..        S(k) = U(k) + U(k + 1) + ..

for k from the highest level down to 1: all spikes of one level arrive together, and all branches
end at the same step. S(1) is ``sum W q``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from qcompiler.ir import Graph, Node, Spikes
from qcompiler.ir.ann import MaxPool
from qcompiler.ir.execution.threads import in_threads
from qcompiler.ir.kernels import Array, pool_max
from qcompiler.ir.snn import Encode
from qcompiler.ir.spiking.coding import Rescaling, clip_to_levels, digit_of, scale_to_levels
from qcompiler.ir.spiking.input_bounds import Bounds, Incoming
from qcompiler.ir.view import View, arrange
from qcompiler.passes.quantization.fusion_groups import FusionGroup, fusion_groups
from qcompiler.passes.quantization.integer_layer import BranchSynapses, IntegerLayer

from .data import Images, sample
from .extremes import Extremes
from .level_sums import SumLevels, sums_of
from .precise_sums import map_of
from .spike_columns import SpikeColumns, are_columns
from .synapse_sums import SynapseSum
from .trace import PendingReads, size_of

_WORK = 2e11  # products that run all images through a network once
_LOOK = 8e10  # products of the observation of one population
_MOST = 200  # images; more change little
_MEMORY = 1 << 29  # bytes of the levels of one tensor
_CACHE = 1 << 24  # bytes of a batch whose steps are summed up one by one


class CalibrationLevels:
    """The levels of calibration images in the integer network, ``images x shape``.

    Levels are computed on demand and dropped after their last reader.
    """

    def __init__(self, graph: Graph, data: Images) -> None:
        self._inputs = {v.name: array for v, array in zip(graph.inputs, data, strict=True)}
        self._known: dict[str, tuple[Array, ...]] = {}  # digits, or one number for all
        self._waiting: list[Callable[[], None]] = []
        self._alike = Counter(map(map_of, fusion_groups(graph)))
        self._summed: tuple[Sequence[BranchSynapses], Array] | None = None
        self._unread = PendingReads(graph)

    def of(self, group: FusionGroup) -> list[Array]:
        """The levels, or their digits, of a group's sources, in the order of its branches."""
        for compute in self._waiting:
            compute()
        self._waiting.clear()
        return self._read_by(group)

    def _read_by(self, group: FusionGroup) -> list[Array]:
        return [q for branch in group.branches for q in self._known[branch.source.name]]

    def encode(
        self, raw: str, name: str, ops: Sequence[Encode], rescaling: Rescaling | None
    ) -> None:
        """Add what becomes spikes of an input, given the encoders of all its digits."""

        def compute() -> None:
            code = ops[0].code
            levels = clip_to_levels(code, scale_to_levels(code, self._inputs.pop(raw), rescaling))
            self._known[name] = tuple(digit_of(op, levels) for op in ops)

        self._waiting.append(compute)

    def follow(self, node: Node) -> None:
        """Add the result of a max pool or a view."""
        source, name = node.operands[0].name, node.result.name

        def compute() -> None:
            self._known[name] = tuple(_followed(node, levels) for levels in self._known[source])
            self._forget([node])

        self._waiting.append(compute)

    def add(self, group: FusionGroup, found: IntegerLayer, code: Spikes) -> None:
        """Add the result of a group."""

        def compute() -> None:
            become, read = SumLevels(code, found.bias, found.slope), self._read_by(group)
            if self._alike[map_of(group)] > 1:
                levels = become.of(self._sums(found.synapses, read))
            else:
                self._summed = None  # frees its memory
                levels = become.behind(found.synapses, read)
            self._known[group.result.name] = (levels,)
            self._forget(group.nodes)

        self._waiting.append(compute)

    def _sums(self, synapses: Sequence[BranchSynapses], levels: Sequence[Array]) -> Array:
        """The sums of a population without its bias; slices of one value may share synapses."""
        if self._summed is None or self._summed[0] is not synapses:
            self._summed = None  # frees its memory
            self._summed = synapses, sums_of(synapses, levels)
        return self._summed[1]

    def _forget(self, nodes: Sequence[Node]) -> None:
        for name in self._unread.after(nodes):
            self._known.pop(name, None)


def _followed(node: Node, levels: Array) -> Array:
    match node.op:
        case MaxPool() as op:
            return pool_max(levels, op, op.kernel, 0)
        case op:
            assert isinstance(op, View)
            return arrange(op, levels, *node.arrays)


def images_to_observe(graph: Graph, given: int) -> int:
    """How many images to run through the network, for time and memory to stay bounded."""
    products, largest = size_of(graph)
    return int(max(1, min(given, _MOST, _WORK / products, _MEMORY / largest)))


def observed_bounds(
    incoming: Sequence[Incoming], levels: Sequence[Array], images: int = 0
) -> tuple[Bounds, int]:
    """Observed bounds per output channel, over images and positions, and the number of images.

    ``levels`` holds one array per entry of ``incoming``, ``images x shape``. The bounds are
    integers in float64, ``outputs x 1 x ..``. Uses as many images as time allows, if not told.
    """
    top = max(part.top for part in incoming)
    if are_columns(incoming):
        columns = SpikeColumns(incoming)
        images = images or _images(levels, top * columns.products(levels))
        given = sample(tuple(levels), images)
        parts = in_threads(lambda at: columns.bounds([q[at] for q in given], top), len(given[0]))
        bounds = reduce(Bounds.joined, parts)
        rank = len(incoming[0].source) - 1
        return Bounds(*(one.reshape(-1, *(1,) * rank) for one in bounds)), images
    summed = SynapseSum([part[:2] for part in incoming], levels, [1] * len(levels))
    images = images or _images(levels, top * summed.products)
    given = sample(tuple(levels), images)
    parts = in_threads(lambda at: _bounds(summed, [q[at] for q in given], top), len(given[0]))
    return reduce(Bounds.joined, parts), images


def _images(levels: Sequence[Array], products: int) -> int:
    """How many images to observe, for so many products each."""
    return int(max(1, min(len(levels[0]), _MOST, _LOOK / products)))


def _bounds(summed: SynapseSum, levels: Sequence[Array], top: int) -> Bounds:
    """Bounds per output channel."""
    seen: Extremes | None = None
    for part in summed.parts(levels, top, _CACHE):
        arrived = summed([_spikes(q, top) for q in part])
        steps = arrived.reshape(top, -1, *arrived.shape[1:])
        seen = seen or Extremes(steps.shape[1:], steps.dtype)
        seen.rest(steps.shape[1])
        for step in steps:
            seen.add(step)
    assert seen is not None
    return seen.bounds(tuple(range(1, len(summed.shape))))


def _spikes(levels: Array, top: int) -> Array:
    """Which neurons spike, from the highest level to 1, ``(levels times images) x shape``."""
    narrow = np.min_scalar_type(top)  # compared in an eighth of the time
    steps = np.arange(top, 0, -1, dtype=narrow).reshape(-1, *(1,) * levels.ndim)
    spikes: Array = levels.astype(narrow) == steps
    return spikes.view(np.uint8).reshape(-1, *levels.shape[1:])
