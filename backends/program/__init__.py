"""A compiled program: how it runs, what it reports and what it costs."""
