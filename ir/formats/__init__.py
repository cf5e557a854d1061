"""Other forms of a graph: text that can be parsed again, and networkx graphs."""
