"""Passes on the tensor level: they rewrite the real network, and choose its ranges and levels."""
