"""Layer-wise reconstruction: the integers of a layer, fitted to calibration data.

Read `layer_fit` first; the other files are its parts.
"""
