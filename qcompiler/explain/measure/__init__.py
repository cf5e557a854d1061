"""What each layer of a program loses, measured beside the real network."""
