"""Options that no pass takes: refused by name where ``--passes`` gives the passes."""

from __future__ import annotations

import argparse
from dataclasses import fields

from qcompiler.ir import PipelineError
from qcompiler.passes import Pipeline

_OF_PASSES = {  # with their defaults
    **{"t_max": None, "weight_bits": None, "percentile": None, "effort": 1, "slices": 4},
    **{"code": "auto", "proved": False, "activation_error": 0.0},
}


def check_taken(steps: Pipeline, given: argparse.Namespace) -> None:
    """PipelineError if ``--passes`` holds no pass that takes an option that was given."""
    if given.passes is None:
        return
    taken = {field.name for step in steps.passes for field in fields(step)}
    idle = [
        f"--{name.replace('_', '-')}"
        for name, default in _OF_PASSES.items()
        if name not in taken and getattr(given, name) != default
    ]
    if idle:
        raise PipelineError(
            f"no pass of --passes takes {', '.join(idle)}: leave it out, or add one"
        )
