"""What a frame costs: counts of updates and events, cost models, and the estimate made of both.

Read in this order: `fan_out` and `wiring` (what a netlist connects), `activity` (what its neurons
send), `cost_model`, `built_in_models` and `cost_model_file` (energy and time of one operation),
`cores` (where neurons lie), `times` and `estimate` (a frame).
"""
