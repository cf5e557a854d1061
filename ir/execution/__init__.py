"""Execution of the tensor level: numpy reference evaluation and onnxruntime sessions."""
