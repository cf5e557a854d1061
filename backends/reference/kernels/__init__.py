"""Sums of populations as kernels of onnxruntime, in 8 bits and in float32.

`families` finds populations that one sum or one kernel does for, which are `pieces` of a whole;
`sum_parts` says what a sum consists of, and `exact_arithmetic` which number formats compute it
exactly. `byte_kernel` makes it a convolution of 8 bits if it can be one, with the weights of
`byte_shares`; `unrolling` and `kernel_cost` choose how, `byte_populations` writes it, as a product
of matrices with `byte_products`.
"""
