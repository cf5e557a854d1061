"""Where a compiled program differs from its ONNX model, and why: `qrun --explain`."""
