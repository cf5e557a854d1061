"""The search for the shortest schedule that keeps the answers of a classifier."""
