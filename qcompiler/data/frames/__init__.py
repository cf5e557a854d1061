"""Frames and labels in memory, and the interface by which readers give them.

Read `held` (`Data`), `source` (`Reader`, `Source`, `Options`), `arrange` (axes as a network takes
them), `labels` and `numpy_files` (what stands in .npz and .npy files), `opening` (files with errors
as sentences).
"""
