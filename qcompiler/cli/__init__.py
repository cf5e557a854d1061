"""The two commands, qcompile and qrun."""
