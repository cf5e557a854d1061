"""State across frames: which outputs go back to which inputs, their codes, and their data."""
