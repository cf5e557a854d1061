"""Intel's Loihi: the targets ``loihi`` (Loihi 2) and ``loihi1`` (Loihi 1).

Read in this order:

1. `target`: the two targets, their pipelines and the check that a network fits its chip.
2. `netlist`: the spiking network as plain data, built from a compiled graph.
3. `mapping`: limits of the chips, and an estimate of the cores that a netlist needs.
4. `lava`: the engines that run a netlist on Lava, Intel's framework, which simulates Loihi.
5. `standalone`: the module ``network.py`` in a program directory, which needs numpy and Lava only.
"""
