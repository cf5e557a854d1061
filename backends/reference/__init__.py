"""The reference target and its three engines, which run on any computer.

Read `target` first: it defines the target and lists the engines. `steps_engine` is the reference
model: it simulates currents and membranes step by step, with `population_dynamics` for single
populations and `bounds_monitor` for limits from calibration. The folder `events` holds the engine
that does the same at the cost of the spikes. `fast` evaluates the same integer network in closed
form with onnxruntime, and `kernels` has the sums of its populations.
"""
