"""What a pass is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from qcompiler.ir import Graph, Invariant


@dataclass(frozen=True)
class Pass(ABC):
    """A function from graph to graph; its dataclass fields are its options.

    ``name`` is what a pipeline calls it. The pipeline checks ``requires`` before it runs and
    ``establishes`` after it. A pass never changes the graph it is given.
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
        return f"{self.name}{{{options}}}" if options else self.name


# Metadata of an option that is given from Python only and has no place in a pipeline's text.
HIDDEN = {"text": False}


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
