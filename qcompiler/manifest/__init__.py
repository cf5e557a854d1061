"""What the manifest of a program remembers of its model."""
