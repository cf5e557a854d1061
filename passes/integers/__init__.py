"""Weights, biases and slopes of populations: exact, rounded, or fitted to calibration data."""
