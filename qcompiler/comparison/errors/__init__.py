"""The errors of outputs: how large, what explains them, and which deserve a warning."""
