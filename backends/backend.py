"""The interfaces of a target (`Backend`) and of an engine (`Engine`), which plugins implement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from qcompiler.ir import Graph, Invariant
from qcompiler.ir.kernels import Array

from .chip import Chip
from .energy.built_in_models import LOIHI1
from .energy.cost_model import CostModel
from .host import Outcome

_MANY_LEVELS = 64

Emitter: TypeAlias = Callable[[Graph, Path], None]
Progress: TypeAlias = Callable[[int], None]  # called with the number of finished frames


class Engine(Protocol):
    """Runs one compiled graph."""

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch: one array per graph input, ``frames x shape``, in the units of the model.

        The arrays are the caller's own: an engine of a plugin gets views that cannot be written.
        Outputs are real numbers in the units of the model; those that the network has as integers,
        such as an index, are integers. With ``record`` the outcome holds the levels of every
        population, integers from 0 to its highest. Without ``count`` the counters may stay at 0. A
        streaming engine calls ``progress`` itself.
        """


@dataclass(frozen=True)
class EngineFactory:
    """The name and description of an engine, and the function that creates it for a graph.

    ``make`` raises ProgramError if the engine cannot run the graph. It imports its dependencies
    when it is called, so that listing engines stays fast. An engine that ``streams`` receives all
    frames of a data set in one call; others receive batches that fit into memory.
    """

    name: str
    description: str
    make: Callable[[Graph], Engine]
    streams: bool = False


@dataclass(frozen=True)
class Backend:
    """A target: the passes that lower a network to it, and what the result must satisfy.

    ``pipeline`` is text for `Pipeline.parse`; ``requires`` is checked on the final graph. ``emit``
    writes additional files into the directory of a program that is being saved, but not for a
    network whose inputs the host looks up in tables, unless the target ``emits_spikes`` only, and
    no reader of raw data. ``ready`` raises ProgramError if a package is missing that ``emit``
    needs: `qcompile` calls it before it compiles anything. ``chip``, if there is one, is what the
    report maps the network onto. ``engines`` run programs of this target; those of the built-in
    targets run programs of every target, if they fit. Weights have up to ``most_weight_bits`` bits
    by default, and those of a chip no more. ``energy`` is the model by which the report estimates
    energy and time, unless another is asked for.
    """

    name: str
    description: str
    pipeline: str
    requires: tuple[Invariant, ...]
    emit: Emitter | None = None
    chip: Chip | None = None
    engines: tuple[EngineFactory, ...] = ()
    emits_spikes: bool = False
    most_weight_bits: int = 8
    energy: CostModel = LOIHI1
    ready: Callable[[], None] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self  # nothing of it changes

    def weight_bits(self, t_max: int) -> int:
        """The default bits of a weight: 8, and from 64 levels on 4 more than a level has.

        With fewer, the rounding of weights outweighs that of levels. A target that has no more than
        ``most_weight_bits`` gets these.
        """
        wanted = 4 + (t_max - 1).bit_length() if t_max >= _MANY_LEVELS else 8
        return min(max(8, wanted), self.most_weight_bits)
