"""Importers of quantised operators: what they compute in real numbers, and the codes between."""
