"""Quantization: real layers become integer layers.

Read `fusion_groups` (the operators that one layer of neurons computes), `real_layer`,
`integer_layer` and then `membrane_limits`, in this order.
"""
