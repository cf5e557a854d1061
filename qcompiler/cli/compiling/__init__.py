"""The command `qcompile`."""
