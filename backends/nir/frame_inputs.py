"""What the inputs of a NIR graph receive for one frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.frames import encoders_of
from qcompiler.backends.loihi.netlist.spike_io import NetworkError
from qcompiler.ir import DataError, Graph
from qcompiler.ir.given import check_graph
from qcompiler.ir.kernels import Array

from .nir_graph import FrameGraph


def frame_inputs(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Spikes for each `Input` node, ``steps x shape``, 0.0 or 1.0, of one frame of raw input.

    ``inputs`` holds an array of the shape of a sample for each ONNX input. Raises InvalidGraph for
    what is no graph, DataError for what is no frame.
    """
    check_graph(graph)
    names = [value.name for value in graph.inputs]
    if not isinstance(inputs, Mapping) or not {*names} <= inputs.keys():
        raise DataError(f"give the arrays of one frame in a mapping by name: {', '.join(names)}")
    netlist = build_netlist(graph)
    steps, frame = netlist.latency, FrameGraph(netlist)
    frames = {name: np.asarray(inputs[name])[None] for name in names}
    try:
        encoders = encoders_of(netlist, {}, frames)
    except NetworkError as error:
        raise DataError(f"{error}: give the arrays of one frame") from error
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
