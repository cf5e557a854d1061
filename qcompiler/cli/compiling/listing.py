"""What `qcompile --list` tells: targets, passes, engines and readers."""

from __future__ import annotations

import argparse
import json

from qcompiler import registry
from qcompiler.data.find import find_reader, reader_names
from qcompiler.passes import Pass
from qcompiler.plugins import working
from qcompiler.terminal.console import warn


def list_all(given: argparse.Namespace) -> int:
    """Print all names with a line each, or as JSON; returns the exit status.

    Broken plugins are left out, with a warning for each.
    """
    targets = working(registry.find_backend, registry.backend_names(), warn).values()
    passes = working(registry.find_pass, registry.pass_names(), warn)
    readers = working(find_reader, reader_names(), warn).values()
    found = {
        "targets": {target.name: target.description for target in targets},
        "passes": {name: _purpose(kind) for name, kind in passes.items()},
        "engines": {engine.name: engine.description for engine in registry.engines(targets)},
        "readers": {reader.name: reader.description for reader in readers},
    }
    if given.json:
        print(json.dumps(found))
        return 0
    for kind, rows in found.items():
        print(f"{kind}:")
        for name, text in rows.items():
            print(f"  {name:<19}{text}")
    return 0


def _purpose(kind: type[Pass]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
