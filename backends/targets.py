"""The built-in targets, by name."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.backends.loihi.target import LOIHI, LOIHI1
from qcompiler.backends.reference.target import REFERENCE

from .backend import Backend

BUILT_IN: Mapping[str, Backend] = {backend.name: backend for backend in (LOIHI, LOIHI1, REFERENCE)}
