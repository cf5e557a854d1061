"""Calibration: ranges and histograms measured on data, and the levels derived from them."""
