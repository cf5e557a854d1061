"""Layers of quantised models, which keep their integers and round as they do."""
