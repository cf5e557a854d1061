"""Rewriting: rules that look at one node, and the order in which they are tried."""
