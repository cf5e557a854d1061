"""Importers of what the host computes with integers of the inputs, in front of the network."""
