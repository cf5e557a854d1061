"""The reference target and its two engines, which run on any computer.

Read `target` first: it defines the target and lists the engines. `steps_engine` is the reference
model: it simulates currents and membranes step by step, with `population_dynamics` for single
populations and `bounds_monitor` for limits from calibration. `fast_engine` evaluates the same
integer network in closed form with onnxruntime; `closed_form` writes the ONNX model, and
`exact_arithmetic` decides which number formats compute it exactly.
"""
