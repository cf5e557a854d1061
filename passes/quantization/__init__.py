"""From real layers to integer layers: fusion groups, slopes, limits, and the layer fit."""
