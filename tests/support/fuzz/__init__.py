"""Attacks that can be repeated: mutants of models that stay valid, and what must hold of them."""
