"""The netlist: a spiking network as plain data.

Read in this order: `netlist` (the data classes), `build_netlist` (a compiled graph to a netlist),
`data_synapses` (rows of synapses between populations), `worst_case` (what potentials can reach),
`synapse_matrices` (a projection as single synapses and as 8-bit weight matrices), `spike_io`
(frames as input spikes, and recorded spikes), `frames` (a run of frames on any simulator).
"""
