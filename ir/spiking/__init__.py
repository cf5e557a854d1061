"""The arithmetic of the spiking level: codes, bounds, and what must hold for exactness."""
