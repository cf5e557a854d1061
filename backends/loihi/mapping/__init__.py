"""Chips, their limits, and how many cores a network takes."""
