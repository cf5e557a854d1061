"""What the tensor level means: a reference in numpy, and sessions of onnxruntime."""
