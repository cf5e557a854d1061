"""Texts on the terminal: errors, progress, tables, amounts."""
