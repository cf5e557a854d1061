"""How far a program's outputs are from its model's, and whether the data suit both."""
