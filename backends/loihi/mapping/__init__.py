"""Limits of the chips, and the mapping of a netlist onto cores.

Read in this order: `chips` (limits of Loihi 1 and 2, with sources), `chip_limits` (the check of
weights, inputs, potentials and delays), `core_grid` (a population divided among cores),
`projection_cost` (axons and memory of one projection; a file per kind of synapses),
`population_mapper` (the cheapest grid of one population), `core_map` (the mapping itself),
`chip_layout` (cores on several chips).
"""
