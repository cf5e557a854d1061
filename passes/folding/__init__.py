"""Rewriting rules that merge neighbouring operations into linear layers."""
