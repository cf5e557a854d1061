"""One value coded by several populations: where it pays, and the graphs it makes."""
