"""The reference target and its three engines, which run on any computer.

Read `target` first: it defines the target and lists the engines. `steps_engine` is the reference
model: it simulates currents and membranes step by step, with `population_dynamics` for single
populations and `bounds_monitor` for limits from calibration. `fast_engine` evaluates the same
integer network in closed form with onnxruntime; `closed_form` writes the ONNX model, `spike_counts`
its results that count, and `exact_arithmetic` decides which number formats compute it exactly. The
folder `events` holds the engine that does what `steps_engine` does, at the cost of the spikes.

`families` finds populations that one sum or one kernel does for, which are `pieces` of a whole;
`sum_parts` says what a sum consists of, `shared_sums` writes it. `byte_kernel` makes it a
convolution of 8 bits if it can be one, `unrolling` and `kernel_cost` choose how, `byte_populations`
writes it.
"""
