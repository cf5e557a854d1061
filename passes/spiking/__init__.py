"""Passes that make the spiking level, and those on it: integers, windows, codes, readout."""
