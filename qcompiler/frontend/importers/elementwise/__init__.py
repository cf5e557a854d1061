"""Importers of arithmetic and functions, element by element."""
