"""Scheduling: delays and relay populations align the spike windows of parallel branches."""
