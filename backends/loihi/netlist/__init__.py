"""The netlist: a spiking network as plain data.

Read in this order: `netlist` (the data classes), `build_netlist` (a compiled graph to a netlist),
`synapse_matrices` (a projection as single synapses and as 8-bit weight matrices).
"""
