"""Graphs in other forms: text that reads back, and networkx graphs."""
