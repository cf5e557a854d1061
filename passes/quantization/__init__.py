"""Quantization: real layers become integer layers.

Read `fusion_groups` (the operators that one layer of neurons computes), `real_layer`,
`integer_layer`, `membrane_limits` and then `layer_fit`, in this order.
"""
