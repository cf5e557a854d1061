"""What `qcompile --list` tells: targets, passes, engines and readers."""

from __future__ import annotations

import argparse
import json

from qcompiler import registry
from qcompiler.data.find import readers


def list_all(given: argparse.Namespace) -> int:
    """Print all names with a line each, or as JSON; returns the exit status."""
    names = registry.backend_names()
    backends = [registry.find_backend(name) for name in names]
    found = {
        "targets": {b.name: b.description for b in backends if b is not None},
        "passes": {name: _purpose(name) for name in registry.pass_names()},
        "engines": {engine.name: engine.description for engine in registry.engines()},
        "readers": {reader.name: reader.description for reader in readers()},
    }
    if given.json:
        print(json.dumps(found))
        return 0
    for kind, rows in found.items():
        print(f"{kind}:")
        for name, text in rows.items():
            print(f"  {name:<19}{text}")
    return 0


def _purpose(name: str) -> str:
    kind = registry.find_pass(name)
    return (kind.__doc__ or "").strip().splitlines()[0] if kind else ""
