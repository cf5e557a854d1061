"""Importers of operators that move values and compute nothing."""
