"""The standalone module that runs on Lava."""

from __future__ import annotations

from functools import partial

from qcompiler.backends.loihi.lava import lava_network, multi_process_runner, single_process_runner
from qcompiler.backends.loihi.netlist import frames, netlist, spike_io, synapse_matrices

from . import command, command_line, files
from .emitter import emit_module
from .module_template import Template

_DOCSTRING = '''"""A spiking network as stock Lava processes.

    python network.py inputs.npy [-o spikes.npz]

runs it on frames of raw input, ``frames x shape``, and writes the step of every neuron's spike,
counted from its frame's first step. It needs Python 3.10, numpy and lava-nc 0.10.0.

`NETWORK` is the network: numbers, and names of arrays in the .npz files beside this module. `build`
creates the Lava processes, for simulation and for Loihi 2. On Loihi 2, hardware adapters replace
the sources and sinks of the host.
"""
'''
LAVA = Template(
    _DOCSTRING,
    command.REQUIREMENTS,
    (
        netlist,
        spike_io,
        frames,
        synapse_matrices,
        lava_network,
        multi_process_runner,
        single_process_runner,
        files,
        command_line,
        command,
    ),
)
emit = partial(emit_module, LAVA)  # an Emitter
