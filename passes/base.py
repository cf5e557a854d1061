"""The base class of all passes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from qcompiler.ir import Diagnostic, Graph, Invariant, PipelineError


@dataclass(frozen=True)
class Pass(ABC):
    """A function from graph to graph; its dataclass fields are its options.

    ``name`` identifies a built-in pass in pipelines and messages. In the text of a pipeline, a pass
    from another package is written ``module:Class``. The pipeline verifies ``requires`` before the
    pass and ``establishes`` after it. A pass never changes the graph it is given.
    """

    name: ClassVar[str]
    requires: ClassVar[tuple[Invariant, ...]] = ()
    establishes: ClassVar[tuple[Invariant, ...]] = ()

    @abstractmethod
    def __call__(self, graph: Graph) -> Graph:
        """Return the new graph; raise a `CompileError` if the graph cannot be transformed."""

    def __str__(self) -> str:
        options = " ".join(
            f"{f.name}={_show(f.name, getattr(self, f.name))}"
            for f in fields(self)
            if f.metadata.get("text", True) and getattr(self, f.name) != f.default
        )
        kind = type(self)
        own = kind.__module__.startswith("qcompiler.")
        name = self.name if own else f"{kind.__module__}:{kind.__qualname__}"
        return f"{name}{{{options}}}" if options else name


_HIDE = "give its field metadata=HIDDEN, of qcompiler.passes.base"
_VALUE = re.compile(r"[^\s,{}]+")
_LARGEST = 1e30  # magnitude of bounds

# Metadata of an option that only Python callers can set: the text of a pipeline omits it.
HIDDEN = {"text": False}


def hidden_options(step: Pass) -> list[str]:
    """Names of the options of a pass that are set, and that the text of a pipeline omits."""
    hidden = (f.name for f in fields(step) if not f.metadata.get("text", True))
    return [name for name in hidden if getattr(step, name) is not None]


def check_limits(**limits: int) -> None:
    """Raise ValueError unless each limit, of synapses or of sums, is 0 or more."""
    for name, limit in limits.items():
        if limit < 0:
            raise ValueError(f"{name} must be 0 or more, not {limit}")


def check_bounds(low: float, high: float) -> None:
    """Raise ValueError unless both are numbers that calibration data may hold, in this order."""
    if not -_LARGEST <= low <= _LARGEST or not -_LARGEST <= high <= _LARGEST:
        raise ValueError(f"low and high must be within {_LARGEST:g}, not {low:g} and {high:g}")
    if low > high:
        raise ValueError(f"low must not be above high, {high:g}, but is {low:g}")


def _show(name: str, value: Any) -> str:
    """An option as text that can be read back; PipelineError if there is none."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, bool | int | float | str | np.generic) and _VALUE.fullmatch(text):
        return text
    message = f"the option {name} has no text that a pipeline can hold: {value!r:.60}"
    raise PipelineError(Diagnostic(message, help=_HIDE))
