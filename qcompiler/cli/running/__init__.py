"""The command `qrun`."""
