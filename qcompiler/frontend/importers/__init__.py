"""Which function imports which ONNX operator."""
