"""Other forms of a graph: text that can be parsed again, and networkx graphs.

`graph_parts` says what a graph must be made of for that.
"""
