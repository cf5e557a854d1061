"""The standalone module that runs on Brian2."""

from __future__ import annotations

from functools import partial

from qcompiler.backends.loihi.netlist import frames, netlist, spike_io, synapse_matrices
from qcompiler.backends.loihi.standalone import command_line, files
from qcompiler.backends.loihi.standalone.emitter import emit_module
from qcompiler.backends.loihi.standalone.module_template import Template

from . import brian2_network, command

_DOCSTRING = '''"""A spiking network for Brian2.

    python network.py inputs.npy [-o spikes.npz]

runs it on frames of raw input, ``frames x shape``, and writes the step of every neuron's spike,
counted from its frame's first step. It needs numpy and Brian2.

`NETWORK` is the network: numbers, and names of arrays in the .npz files beside this module.
`Brian2Network` makes Brian2 objects of it, and `build` those for given frames.
"""
'''
BRIAN2 = Template(
    _DOCSTRING,
    command.REQUIREMENTS,
    (
        netlist,
        spike_io,
        frames,
        synapse_matrices,
        brian2_network,
        files,
        command_line,
        command,
    ),
)
emit = partial(emit_module, BRIAN2)  # an Emitter
