"""What a code is: which spikes a level sends, and what makes a population send them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Role, Window
from qcompiler.ir.types import Coding

from .dynamics import Extremes
from .input_bounds import Drive


class Neurons(NamedTuple):
    """Integer neurons in time: their inputs, bias B, slope D, window, and the frame interval.

    ``interval`` is the number of steps from one frame to the next. Arrays broadcast over them.
    """

    drive: Drive
    bias: Array
    slope: Array
    window: Window
    interval: int

    @property
    def integration(self) -> int:
        """Steps from open to read."""
        return self.window.read - self.window.open

    @property
    def t_max(self) -> int:
        """Levels: steps from read to close, both included."""
        return self.window.close - self.window.read + 1

    @property
    def idle(self) -> int:
        """Steps between close and the next frame's open."""
        return self.interval - (self.window.close - self.window.open + 1)


class Fault(NamedTuple):
    """What a population breaks of its code's conditions, and the remedy if there is one.

    ``{name}`` in the message stands for the population.
    """

    message: str
    remedy: str | None = None


class Code(ABC):
    """A code of levels as spikes, and the population that computes a level as such spikes.

    ``roles`` are the clock synapses of its populations; ``pulses`` those whose spike is taken back
    a step later. ``keeps_currents`` tells whether neurons that read this code keep their currents
    until the next frame, ``gates_inhibit`` whether a gate inhibits itself after its first spike.
    ``has_markers`` tells whether every level but 0 sends a second spike, when level 0 would spike,
    to populations by synapses of negated weights.
    """

    name: ClassVar[Coding]
    description: ClassVar[str]
    roles: ClassVar[tuple[Role, ...]]
    pulses: ClassVar[tuple[Role, ...]]
    keeps_currents: ClassVar[bool]
    gates_inhibit: ClassVar[bool]
    has_markers: ClassVar[bool] = False

    @abstractmethod
    def spikes_of(self, levels: Array) -> Array:
        """How many spikes each level sends."""

    @abstractmethod
    def sends(self, levels: Array, step: int, top: int) -> Array:
        """Whether levels spike at this step, counted from the start of their window."""

    @abstractmethod
    def sending_steps(self, top: int) -> int:
        """The number of steps at which levels up to ``top`` can send spikes or markers."""

    @abstractmethod
    def busy_steps(self, window: Window) -> int:
        """The least number of steps between two frames, for a population with this window."""

    @abstractmethod
    def reset_step(self, window: Window) -> int:
        """The step of a frame at which a population's currents and membranes are reset."""

    @abstractmethod
    def threshold(self, neurons: Neurons) -> int:
        """The common threshold of a population, in units of weights."""

    @abstractmethod
    def clock_weights(self, neurons: Neurons) -> dict[Role, Array]:
        """The weights of its clock synapses, by role."""

    @abstractmethod
    def arrival_step(self, role: Role, window: Window) -> int:
        """The step at which a clock's spike of this role arrives."""

    @abstractmethod
    def faults(
        self, neurons: Neurons, line: Mapping[Role, Array], threshold: int
    ) -> Iterator[Fault]:
        """Conditions that clock weights and threshold break: with none, spikes are the levels."""

    @abstractmethod
    def self_weight(self, neurons: Neurons, lines: Mapping[int, Array], threshold: int) -> Array:
        """The least weight of the synapse from each neuron to itself, in amount and sign.

        ``lines`` are the clock currents by step: see `merge_control_lines`.
        """

    @abstractmethod
    def extremes(
        self, neurons: Neurons, lines: Mapping[int, Array], threshold: int, own: Array
    ) -> Extremes:
        """Extremes over all inputs within the bounds; ``own`` is the self synapse's weight."""
