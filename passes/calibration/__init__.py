"""What calibration data say: ranges, histograms, and the levels of every value."""
