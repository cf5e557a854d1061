"""A spiking network as plain data.

Rows hold their arrays or, in the standalone module, the names of arrays in files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

CLOCK = ""  # the sender of clock synapses; no population has this name


_MARKERS = ":markers"


def marker_name(name: str) -> str:
    """The name of what sends the markers of a silent source or population."""
    return f"{name}{_MARKERS}"


def marked_name(name: str) -> str:
    """The name of what these markers are of."""
    return name.removesuffix(_MARKERS)


@dataclass(frozen=True, eq=False)
class Source:
    """Input neurons, which the host drives: digit d leaves at step ``start + t_max - 1 - d``.

    Digits, to base t_max, are those of ``q = clip(floor(x / scale + zero + 1/2), 0, t_max ** digits
    - 1)``, of which ``digit`` 0 is the lowest; x is the ONNX input ``input``. With arrays it is
    ``(input - offset) * factor``. Codings:

        one-spike  every digit is one spike
        silent     the same, but digit 0 sends none
        marker     one spike for every digit but 0, at step ``start + t_max - 1``
        burst      digit d is d spikes, the last at step ``start + t_max - 2``
    """

    name: str
    input: str
    shape: tuple[int, ...]
    t_max: int
    scale: float
    zero: int
    start: int
    digits: int = 1
    digit: int = 0
    coding: str = "one-spike"
    offset: Any = None
    factor: Any = None


@dataclass(frozen=True)
class Population:
    """Neurons: ``u += input; v += u``, a spike where ``v > threshold``, then ``v = 0``.

    The current u stays from step to step, or, if not ``persistent``, is forgotten. Both are reset
    at step ``open`` of every frame, before that step's input. Spikes leave at steps ``read`` to
    ``close``. ``origin`` names the ONNX nodes that the neurons compute.

    ``bias`` is added to v at every step: the slope D of bursts, not the bias of the layer, which
    the clocks send.

    The reset is at step ``reset`` instead, if that is not -1. The ``coding`` is as for `Source`;
    a ``burst`` ends at the step before ``close``. ``bias`` is added to v at every step.
    """

    name: str
    shape: tuple[int, ...]
    persistent: bool
    threshold: int
    open: int
    read: int
    close: int
    origin: tuple[str, ...] = ()
    coding: str = "one-spike"
    reset: int = -1
    bias: Any = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def label(self) -> str:
        """The names of the ONNX nodes, or, if there are none, its own."""
        return " + ".join(self.origin) or self.name


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses from one population to another; a spike arrives ``delay + 1`` steps later.

    Senders stand in an array, of shape ``senders``: in order, or as ``order`` numbers them.
    ``weights`` are integers; beyond 8 bits they take several synapses (see `split_weights`).

        kernel   a convolution over the senders, ``O x C/groups x kernel``, as in ONNX
        matrix   ``receivers x senders``
        each     from every sender to its counterpart, spread over them
        clock    ``ticks x receivers``, spread over the receivers; ``ticks`` are steps of arrival
    """

    source: str
    target: str
    kind: Literal["kernel", "matrix", "each", "clock"]
    weights: Any
    senders: tuple[int, ...] = ()
    order: Any = None
    delay: int = 0
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    groups: int = 1
    ticks: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Output:
    """What is decoded: level q stands for x, ``scale (q - zero)``.

    q is the level of a population, or of several ``sum(place * level)``, at most ``top``. With
    arrays it stands for ``(x - offset) * factor``.
    """

    populations: tuple[str, ...]
    scale: float
    zero: int
    top: int
    places: tuple[int, ...] = (1,)
    offset: Any = None
    factor: Any = None

    @property
    def label(self) -> str:
        """The name of the population; of several, what stands in front of their last colon."""
        first = self.populations[0]
        return first if len(self.populations) == 1 else first.rpartition(":")[0] or first


@dataclass(frozen=True, eq=False)
class Netlist:
    """A spiking network. A frame enters every ``interval`` steps and stays ``latency`` steps."""

    sources: tuple[Source, ...] = ()
    populations: tuple[Population, ...] = ()
    synapses: tuple[Synapses, ...] = ()
    outputs: tuple[Output, ...] = ()
    interval: int = 1
    latency: int = 0

    @property
    def ticks(self) -> tuple[int, ...]:
        """The steps at which a clock's spikes arrive: one clock neuron each."""
        return tuple(sorted({tick for row in self.synapses for tick in row.ticks}))

    @property
    def codings(self) -> dict[str, str]:
        """The coding of every source and population, by name."""
        codings = {source.name: source.coding for source in self.sources}
        return codings | {group.name: group.coding for group in self.populations}

    @property
    def max_levels(self) -> dict[str, int]:
        """The highest level of every source and population, by name."""
        max_levels = {source.name: source.t_max - 1 for source in self.sources}
        return max_levels | {group.name: group.close - group.read for group in self.populations}


ARRAY_FIELDS = (
    "offset",
    "factor",
    "bias",
)  # the fields of sources, outputs and populations for arrays


def with_arrays(row: Any, arrays: Mapping[str, Any]) -> Any:
    """A source, output or population with its arrays in place of their names."""
    named = {name: getattr(row, name) for name in ARRAY_FIELDS if hasattr(row, name)}
    return replace(row, **{n: arrays[v] if isinstance(v, str) else v for n, v in named.items()})


NETWORK = Netlist()
