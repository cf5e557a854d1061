"""The netlist: a spiking network as plain data, and the way there from a compiled graph."""
