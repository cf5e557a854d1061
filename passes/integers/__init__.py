"""Weights, biases and slopes of populations: exact, rounded, or fitted to calibration data.

`quantizer` walks a graph and lowers it to spikes, `group_integers` finds the integers of each
fusion group on the way, and `populations` adds them to the spiking graph.
"""
