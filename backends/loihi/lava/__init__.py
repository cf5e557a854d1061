"""Compiled networks on Lava's simulation of Loihi."""
