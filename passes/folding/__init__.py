"""Rewrite rules that fold operators into neighbouring linear layers.

`neighbours` and `linear` are what the rules share. `images` holds those about pools, pads and
resizes, `arrangement` those about views and concatenations.
"""
