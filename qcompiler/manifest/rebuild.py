"""What a program was built from, and whether the same things build it again."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from qcompiler.backends.program.program import Program
from qcompiler.ir import ProgramError, show
from qcompiler.ir.kernels import Array
from qcompiler.ir.prologue import joined
from qcompiler.passes import Pipeline
from qcompiler.passes.base import hidden_options
from qcompiler.registry import find_pass, pass_names

_PACKAGES = ("numpy", "onnx", "onnxruntime")
_OPTIONS = (  # of `compile`, besides those that a manifest has under other keys
    *("t_max", "weight_bits", "code", "effort", "slices", "percentile", "proved", "passes"),
    *("allow_products", "activation_error", "max_drop", "max_drift", "objective", "states"),
)
_NOT_COMPARED = ("model", "built_with")
_PART = 1 << 20  # bytes that are hashed at once


def built_with(arguments: Mapping[str, Any], data: Sequence[Array], labels: Any) -> dict[str, Any]:
    """Versions, options that were given, and digests of the data that were read."""
    given = {name: arguments[name] for name in _OPTIONS if arguments[name] is not None}
    options = {name: _plain_value(value) for name, value in given.items()}
    found: dict[str, Any] = {"options": options, "versions": versions()}
    if data:
        found["data"] = {"sha256": digest(*data)}
        if labels is not None:
            found["data"]["labels"] = digest(_of_any_width(np.asarray(labels)))
    return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, Pipeline):
        found: dict[str, Any] = {"pipeline": str(value)}
        own = [f"{step.name}.{name}" for step in value.passes for name in hidden_options(step)]
        return found | ({"hidden": own} if own else {})
    return value.item() if isinstance(value, np.generic) else value


def _of_any_width(labels: Array) -> Array:
    """Labels as they are whether a file or an array held them."""
    return labels.astype("<i8") if labels.dtype.kind in "iu" else labels


def digest(*arrays: Any) -> str:
    """SHA-256 of the kinds, shapes and contents of arrays."""
    found = hashlib.sha256()
    for array in map(np.asarray, arrays):
        found.update(f"{array.dtype.str}{array.shape}\0".encode())
        rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        step = max(1, _PART // max(1, rows[:1].nbytes))
        for begin in range(0, len(rows), step):
            found.update(np.ascontiguousarray(rows[begin : begin + step]).tobytes())
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that decide what is compiled."""
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    return found | {package: _version(package) for package in ("qcompiler-snn", *_PACKAGES)}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def arguments_of(program: Program, passes: str | Pipeline | None) -> dict[str, Any]:
    """The arguments of `compile` that built a program; ProgramError if it does not say.

    ``passes`` is its pipeline, which must be given if modules are imported for it.
    """
    manifest = program.manifest
    try:
        before = manifest["preprocessing"]
        options = {name: manifest["built_with"]["options"][name] for name in _given(manifest)}
        if options.keys() - {*_OPTIONS}:
            raise ValueError
        if (known := options.get("passes")) is not None or passes is not None:
            options["passes"] = _passes_of(known, passes)
        return {
            **options,
            "target": program.backend.name,
            "mean_values": before["mean"],
            "scale_values": before["scale"],
            "reverse_input_channels": before["reverse_channels"],
            "layout": before["layout"],
            "input_shapes": manifest.get("input_shapes"),
            "input_values": manifest.get("input_values"),
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        message = "the manifest does not say how the program was built: compile the model again"
        raise ProgramError(message) from error


def _passes_of(known: Any, given: str | Pipeline | None) -> str | Pipeline:
    """The passes that a manifest names, or those that are given in their place."""
    whole = isinstance(known, dict)  # of a `Pipeline`, which leaves no option open
    if whole and known.get("hidden"):
        named = ", ".join(map(str, known["hidden"]))
        message = f"the program cannot be built again: its manifest does not hold {named}"
        raise ProgramError(f"{message}, which its Pipeline was given")
    passes = str(known["pipeline"] if whole else known) if given is None else given
    if given is None and ":" in str(passes):
        message = "the program was built with passes of modules, whose import may run code"
        raise ProgramError(f"{message}: give its pipeline again with --passes")
    if whole and isinstance(passes, str):
        return Pipeline.parse(passes, find_pass, names=pass_names)
    return passes


def _given(manifest: Mapping[str, Any]) -> list[str]:
    return list(manifest["built_with"]["options"])


def differences(saved: Program, built: Program) -> Iterator[str]:
    """A sentence for each thing in which two programs, or what they were built from, differ."""
    old, new = _plain(saved), _plain(built)
    if old["model"] != new["model"] and "sha256" in old["model"]:
        yield "the model is another file than the one that was compiled"
    before, now = old["built_with"], new["built_with"]
    data, other = (one.get("data") or {} for one in (before, now))
    if data.get("sha256") != other.get("sha256"):
        yield "the data are not those that it was compiled with"
    elif data.get("labels") != other.get("labels"):
        yield _other_labels("labels" in data, "labels" in other)
    for name, one in before.get("versions", {}).items():
        if one != now["versions"].get(name):
            yield f"it was built with {name} {one}, not {now['versions'].get(name)}"
    ours, theirs = (joined(program.prologue, program.graph) for program in (saved, built))
    if ours != theirs:
        lines = zip(show(ours).splitlines(), show(theirs).splitlines(), strict=False)
        first = next((one for one, other in lines if one != other), "one has more nodes")
        yield f"the networks differ, first at: {first.strip():.120}"
    keys = sorted({*old, *new} - {*_NOT_COMPARED})
    if other := [key for key in keys if old.get(key) != new.get(key)]:
        yield f"the manifests differ in {', '.join(other)}"


def _other_labels(had: bool, has: bool) -> str:
    if had and has:
        return "the labels are not those that it was compiled with"
    return f"it was compiled {'with' if had else 'without'} labels (--labels)"


def _plain(program: Program) -> dict[str, Any]:
    """The manifest as it is saved."""
    found: dict[str, Any] = json.loads(json.dumps(dict(program.manifest)))
    return {"model": {}, "built_with": {}, **found}
