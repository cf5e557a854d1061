"""From an ONNX file to a graph of the tensor level."""
