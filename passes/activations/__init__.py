"""Activation functions as piecewise linear segments, written as sums of clips.

`segments` fits them: `jumps` finds where a function jumps or bends, and `continuous_fit` the
segments between. `clip_sums` writes them as clips.
"""
