"""Backends: what runs or emits a compiled graph."""

from .backend import LOIHI, REFERENCE, Backend
from .program import Program

__all__ = ["LOIHI", "REFERENCE", "Backend", "Program"]
