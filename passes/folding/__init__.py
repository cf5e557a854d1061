"""Rewrite rules that fold operators into neighbouring linear layers."""
