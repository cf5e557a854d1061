"""Importers of what is spelt out: normalisation, softmax inside, matrix products of two values."""
