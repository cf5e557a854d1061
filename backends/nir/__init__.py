"""The target for NIR, the file format that simulators and chips of others read.

Read in this order: `nir_graph` (a netlist as a NIR graph of one frame), `projections` (synapses as
nodes of NIR), `square_kernels` (convolutions as NIR can write them), `frame_inputs` (what the
graph's inputs receive), `target`.
"""
