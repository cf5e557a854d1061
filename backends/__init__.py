"""Backends: what runs or emits a compiled graph."""
