"""Rewrite rules about views and concatenations, which only arrange values."""
