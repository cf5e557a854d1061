"""Windows of spiking nodes, and the interval between two frames."""

from __future__ import annotations

from qcompiler.ir.diagnostics import ProgramError
from qcompiler.ir.graph import Graph, Node
from qcompiler.ir.snn import Encode, First, Neuron, Population, Window

from .codes import CODES, Neurons
from .integer_network import Layer, spikes_of, spiking_nodes


def window_of(node: Node) -> Window:
    """The window of an encoder, gate or population; inputs of the first two take no steps.

    Raises ProgramError if it has none yet.
    """
    match node.op:
        case Population(window=window) | Neuron(window=tuple(window)):
            return Window(*window)
        case Encode(start=int(start)) | First(start=int(start)):
            return Window(start, start, start + spikes_of(node.result).top)
    raise ProgramError(f"%{node.result.name} has no window: run assign-windows and insert-readout")


def frame_interval(graph: Graph) -> int:
    """The smallest number of steps between two frames: see `Code.busy_steps`.

    An input needs the steps of its spikes. Raises ProgramError if the graph has no windows yet.
    """
    needed = 1
    for node in spiking_nodes(graph):
        code, top = CODES[spikes_of(node.result).coding], spikes_of(node.result).top
        match node.op:
            case Encode():
                busy = code.sending_steps(top)
            case First():  # reset with its first spike; inhibition comes a step after the last
                busy = top + 2 if code.gates_inhibit else top
            case _:
                busy = code.busy_steps(window_of(node))
        needed = max(needed, busy)
    return needed


def neurons_of(layer: Layer, window: Window, interval: int) -> Neurons:
    """The neurons of a layer in their window."""
    return Neurons(layer.drive, layer.bias, layer.slope, window, interval)
