"""Slicing: several populations represent one value, to lower its rounding error.

`noise` and `bottlenecks` decide where this pays. `replicas` rewrites the graph; `slices` (by range)
and `channel_slices` (by channel) are its two forms; `split_value` takes both.
`piece_populations` makes the same of populations, behind `quantize`.
"""
