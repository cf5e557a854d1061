"""The two engines that run on any machine: the golden steps engine, and the fast engine."""
