"""Activation functions as piecewise linear segments, written as sums of clips."""
