"""Quantization: real layers become integer layers.

Read `fusion_groups` (the operators that one layer of neurons computes), `real_layer`,
`level_codes`, `slope_limits`, `rounding`, `integer_layer`, `membrane_limits` and
`calibrated_bounds`, in this order.
"""
