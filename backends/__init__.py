"""Targets, the engines that run compiled networks, and what a compiled program can do.

Read in this order:

1. `backend`: `Backend` (a target) and `EngineFactory` (an engine), the two things that a plugin
   defines, and the `Engine` protocol.
2. `program`: `Program`, a compiled network that runs on engines, reports on itself and is saved;
   its folder has how it runs on data, and what it costs.
3. `host`: `Outcome` and `Counters` of a run, and the work of the host computer: decoding spikes.
4. `report` (populations, synapses, latency, cores), `saving` (program directories), `chip` (limits
   of a chip), `energy` (what a frame costs, by cost models).
5. `reference`: the engines that run on any computer. `loihi`: Intel's Loihi, simulated by Lava.
   `brian2` and `nir`: simulators of others. `decoded_spikes`: what their engines share.

To add a target, define a `Backend`: its pass pipeline, the invariants that the final graph must
satisfy, and optionally a function that writes files, a chip, and engines. A plugin exposes it as
an entry point of the group ``qcompiler.backends``; no file of this package changes. To add a
target to this package, put it into a new folder with a ``target.py``, list it in
``targets.BUILT_IN``, and list the folder in ``pyproject.toml`` and ``tests/test_layering.py``.

To add an engine, write a class that follows `backend.Engine`, wrap it in an `EngineFactory` and
add that to ``Backend.engines`` of its target. ``tests/backends/test_plugin_target.py`` shows both.
"""

from qcompiler.backends.program.program import Program

from .backend import Backend, Engine, EngineFactory
from .host import Counters, Outcome
from .loihi.target import LOIHI
from .reference.target import REFERENCE

__all__ = [
    "LOIHI",
    "REFERENCE",
    "Backend",
    "Counters",
    "Engine",
    "EngineFactory",
    "Outcome",
    "Program",
]
