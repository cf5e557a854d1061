"""Engines that run a compiled network on Lava's simulation of Loihi.

Read in this order:

1. `lava_network`: the Lava processes of a netlist.
2. `multi_process_runner` (Lava's own runtime) and `single_process_runner` (the same process models
   in one operating-system process). `supervised_runner` adds error handling to the first;
   `process_guards` handles interrupts and logging.
3. `lava_engine`: runs batches and returns spike steps. `engine_adapter` makes it an `Engine`.

`lava_network` and the runners of step 2 are also parts of the standalone module.
"""
