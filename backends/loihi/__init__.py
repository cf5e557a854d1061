"""Intel's Loihi: netlists, the mapping onto cores, Lava processes, the standalone module."""
