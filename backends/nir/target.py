"""The target nir: the reference's network, with a file of one frame for other simulators."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.reference.target import REFERENCE
from qcompiler.ir import Graph, ProgramError

from .nir_graph import FrameGraph

FILE = "network.nir"


def ready() -> None:
    """ProgramError if the package nir is missing."""
    if find_spec("nir") is None:
        raise ProgramError("the target nir needs the package nir: pip install 'qcompiler-snn[nir]'")


def emit(graph: Graph, folder: Path) -> None:
    """Write the graph of one frame; ProgramError if the package nir is missing."""
    ready()
    import nir

    nir.write(folder / FILE, FrameGraph(build_netlist(graph)).graph())


NIR = replace(
    REFERENCE,
    name="nir",
    description="the integer network, with a NIR file of one frame",
    emit=emit,
    ready=ready,
    emits_spikes=True,
    engines=(),
)
