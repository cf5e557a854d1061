"""The Python module that a program carries with it, in need of nothing of ours."""
