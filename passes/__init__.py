"""Passes: functions from graph to graph, one file each, named after the pass.

Start with `base` (what a pass is), `built_in` (the passes and their order) and `pipeline` (how
they run and what is verified around each). Then read the passes in the order of `built_in`:
``tensor`` has those that rewrite the real network, ``spiking`` those that make integers and spikes
of it. The other folders hold what passes share. Start at ``quantization/integer_layer.py`` for the
weights and biases of a layer; thresholds and clock weights are in `qcompiler.ir.spiking.dynamics`.
"""

from .base import Pass
from .built_in import BUILT_IN
from .pipeline import Pipeline, Watcher

__all__ = ["BUILT_IN", "Pass", "Pipeline", "Watcher"]
