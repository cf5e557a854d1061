"""What a backend is, and what an engine is: the two things that a plugin for a target provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from qcompiler.ir import Graph, Invariant
from qcompiler.ir.kernels import Array

from .chip import Chip
from .host import Outcome

Emitter: TypeAlias = Callable[[Graph, Path], None]
Progress: TypeAlias = Callable[[int], None]  # takes the number of frames done


class Engine(Protocol):
    """Something that runs one compiled graph."""

    def __call__(
        self,
        *inputs: Array,
        record: bool = False,
        count: bool = True,
        progress: Progress | None = None,
    ) -> Outcome:
        """Run a batch: one array an input, ``frames x shape``, in the units of the model.

        ``record`` asks for the levels of every population. Without ``count`` the counters may stay
        at 0. An engine that streams calls ``progress`` itself.
        """


@dataclass(frozen=True)
class EngineFactory:
    """An engine by name. ``make`` builds it for a graph, and raises ProgramError if it cannot.

    ``make`` imports what it needs when it is called, so that listing engines stays quick. An engine
    that ``streams`` gets all frames of a data set in one call, others get batches that fit into
    memory.
    """

    name: str
    description: str
    make: Callable[[Graph], Engine]
    streams: bool = False


@dataclass(frozen=True)
class Backend:
    """A target: the passes that lower a network to it, and what the result must satisfy.

    ``pipeline`` is text for `Pipeline.parse`; ``requires`` is checked on the final graph. ``emit``
    writes files of the target's own into the folder of a program that is being saved. ``chip``,
    if there is one, is what the report maps the network onto. ``engines`` run programs of this
    target; those of the built-in targets run programs of every target, if they fit.
    """

    name: str
    description: str
    pipeline: str
    requires: tuple[Invariant, ...]
    emit: Emitter | None = None
    chip: Chip | None = None
    engines: tuple[EngineFactory, ...] = ()
