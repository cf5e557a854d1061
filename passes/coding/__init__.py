"""What codes cost on calibration data, and which readers a code can have."""
