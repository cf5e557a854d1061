"""From what a layer loses to a cause and a remedy."""
