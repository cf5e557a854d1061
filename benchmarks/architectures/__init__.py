"""Small networks of the architectures that people train, with random weights; needs PyTorch.

`building` holds what an architecture is; each other file adds those of a field to its table.
"""
