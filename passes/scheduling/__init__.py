"""Delays and relay populations that line up the windows of branches."""
