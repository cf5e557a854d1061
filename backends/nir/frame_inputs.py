"""What the inputs of a NIR graph receive for one frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.frames import encoders_of
from qcompiler.ir import Graph
from qcompiler.ir.kernels import Array

from .nir_graph import FrameGraph


def frame_inputs(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Spikes for each `Input` node, ``steps x shape``, 0.0 or 1.0, of one frame of raw input.

    ``inputs`` holds an array of the shape of a sample for each ONNX input.
    """
    netlist = build_netlist(graph)
    steps, frame = netlist.latency, FrameGraph(netlist)
    encoders = encoders_of(netlist, {}, {name: x[None] for name, x in inputs.items()})
    found = {}
    for name, encoder in encoders.items():
        # Later frames would follow; this one ends with its input's window.
        sent = np.arange(steps) < encoder.source.start + encoder.source.t_max
        spikes = encoder.spike_train(0, steps).T * sent[:, None]
        found[frame.names[name]] = spikes.reshape(steps, *encoder.source.shape)
    for name, at in frame.clocks.items():
        found[name] = np.zeros((steps, *frame.nodes[name].input_type["input"]))
        found[name][at[at < steps]] = 1
    return found
