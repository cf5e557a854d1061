"""The report on a program as one HTML page: `qcompile --report` and `qrun --report`."""
