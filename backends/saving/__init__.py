"""Directories of compiled programs: written as a whole or not at all, read without trust.

Read in this order: `program_files` (what of a program is saved), `storage` and `loading` (the
directory itself), `atomic_folder` (how one takes the place of another), `manifest` (what a manifest
may hold).
"""
