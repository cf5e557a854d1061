"""The fast engine: the integer network in closed form.

Read `fast_engine`, then `closed_form`, which writes the ONNX model. `input_levels` writes what
comes in, `shared_sums` the sums that populations share, `spike_counts` the results that count.
`whole_outputs` decodes outputs whose pieces add up, `whole_digits` those that have digits,
`decoded_in_graph` small outputs.
"""
