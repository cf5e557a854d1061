"""What a pass is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from qcompiler.ir import Graph, Invariant


@dataclass(frozen=True)
class Pass(ABC):
    """A function from graph to graph; its dataclass fields are its options.

    ``name`` is what messages, and pipelines that know it, call it; as text, a pass from elsewhere
    is written ``module:Class``, which always reads back. The pipeline checks ``requires`` before
    it runs and ``establishes`` after it. A pass never changes the graph it is given.
    """

    name: ClassVar[str]
    requires: ClassVar[tuple[Invariant, ...]] = ()
    establishes: ClassVar[tuple[Invariant, ...]] = ()

    @abstractmethod
    def __call__(self, graph: Graph) -> Graph:
        """Return the new graph; raise a `CompileError` for what cannot be done."""

    def __str__(self) -> str:
        options = " ".join(
            f"{f.name}={_show(getattr(self, f.name))}"
            for f in fields(self)
            if f.metadata.get("text", True) and getattr(self, f.name) != f.default
        )
        kind = type(self)
        own = kind.__module__.startswith("qcompiler.")
        name = self.name if own else f"{kind.__module__}:{kind.__qualname__}"
        return f"{name}{{{options}}}" if options else name


# Metadata of an option that is given from Python only and has no place in a pipeline's text.
HIDDEN = {"text": False}


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
