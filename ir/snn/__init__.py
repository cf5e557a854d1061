"""The spiking level: encoders, synapses, populations and the clocks that drive them.

A spike that leaves at step i reaches the populations behind its synapses at step i + 1, or
``delay`` steps later, and stays there as a current until the frame ends. Steps count from 0, the
first step of the input window.
"""

from .encoders import Decode, Encode
from .populations import First, Neuron, Population, Window, start_of
from .synapses import Clock, Connect, Convolve, Fanout, Relay, Role, Synapse

__all__ = [
    "Clock",
    "Connect",
    "Convolve",
    "Decode",
    "Encode",
    "Fanout",
    "First",
    "Neuron",
    "Population",
    "Relay",
    "Role",
    "Synapse",
    "Window",
    "start_of",
]
