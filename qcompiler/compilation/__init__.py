"""One compilation: its options, the network that it reads, its data, passes and manifest."""
