"""When neurons spike: relays that align parallel branches, and what the codes of spikes cost."""
