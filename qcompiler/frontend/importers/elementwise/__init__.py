"""Importers of arithmetic, functions and casts, element by element."""
