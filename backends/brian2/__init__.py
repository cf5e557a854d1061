"""The target and the engine for Brian2, a simulator that others wrote.

Read in this order: `brian2_network` (a netlist as Brian2 objects), `engine` (an `Engine` that runs
them), `standalone` (the module that a program takes along), `target`.

`brian2_network` and `command` are also parts of the standalone module.
"""
