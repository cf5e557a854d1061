"""Arithmetic of the spiking level: spike coding, membrane dynamics, bounds and invariants."""
