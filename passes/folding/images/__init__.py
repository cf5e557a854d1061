"""Rewrite rules about pads, pools and resizes, which become kernels of convolutions."""
