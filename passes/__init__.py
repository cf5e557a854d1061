"""Passes: functions from graph to graph, one file each, named as the pass."""

from .base import Pass
from .built_in import BUILT_IN
from .pipeline import Pipeline, Watcher

__all__ = ["BUILT_IN", "Pass", "Pipeline", "Watcher"]
