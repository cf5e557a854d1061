"""The two commands, qcompile and qrun: their entry points, and what both share."""
