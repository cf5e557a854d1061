"""What importers see: ONNX files and tensors, one node at a time, and constants."""
