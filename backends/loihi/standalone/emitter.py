"""Writes a network as a Python module that runs it on a simulator without qcompiler.

The module is that of a `Template` with the netlist of the network. Arrays that the program
directory does not contain yet go into a second file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from qcompiler.backends.loihi.netlist.build_netlist import build_netlist
from qcompiler.backends.loihi.netlist.netlist import ARRAY_FIELDS, Netlist, Synapses
from qcompiler.ir import Graph
from qcompiler.ir.formats.arrays import write_arrays
from qcompiler.ir.kernels import Array
from qcompiler.ir.ops import plain

from . import files
from .module_template import Template

_UNCHECKED = "# ruff: noqa\n# fmt: off\n"  # a netlist has long lines; tests check the rest
MODULE, ARRAYS = "network.py", files.ARRAYS[1]


def emit_module(template: Template, graph: Graph, folder: Path) -> None:
    """Write module and arrays of a compiled graph into a folder."""
    known = {id(constant.data): f"#{constant.name}" for constant in graph.constants}
    netlist, arrays = with_named_arrays(build_netlist(graph), known)
    text = _UNCHECKED + template.source(netlist_source(netlist))
    (folder / MODULE).write_text(text, encoding="utf-8")
    write_arrays(folder / ARRAYS, arrays, compressed=True)


def with_named_arrays(netlist: Netlist, known: Mapping[int, str]) -> tuple[Netlist, dict[str, Any]]:
    """The netlist with names in place of its arrays, and the arrays that no file has yet.

    ``known`` are names of arrays that one has, by `id`.
    """
    arrays: dict[str, Array] = {}

    def name(array: Array, wanted: str) -> str:
        if id(array) in known:
            return known[id(array)]
        arrays[wanted] = array
        return wanted

    rows = []
    for index, row in enumerate(netlist.synapses):
        order = row.order if row.order is None else name(row.order, f"{index}:order")
        rows.append(replace(row, weights=name(row.weights, f"{index}:weights"), order=order))

    def named(row: Any, stem: str) -> Any:
        given = {part: getattr(row, part, None) for part in ARRAY_FIELDS}
        return replace(
            row, **{p: name(a, f"{stem}:{p}") for p, a in given.items() if a is not None}
        )

    def all_named(of: tuple[Any, ...], kind: str) -> tuple[Any, ...]:
        return tuple(named(row, f"{kind}{index}") for index, row in enumerate(of))

    found = replace(
        netlist,
        sources=all_named(netlist.sources, "source"),
        populations=all_named(netlist.populations, "population"),
        synapses=tuple(rows),
        outputs=all_named(netlist.outputs, "output"),
    )
    return found, arrays


def netlist_source(netlist: Netlist) -> str:
    """A netlist as Python source, one line a row."""
    parts = (
        f"    {field.name}={_rows(getattr(netlist, field.name))},\n" for field in fields(Netlist)
    )
    return f"NETWORK = Netlist(\n{''.join(parts)})"


def _rows(value: int | Iterable[Any]) -> str:
    if isinstance(value, int):
        return repr(value)
    return "(\n" + "".join(f"        {_row(row)},\n" for row in value) + "    )"


def _row(row: Any) -> str:
    """A row as the call that makes it, without what it has by default."""
    given = []
    for field in fields(row):
        value = plain(getattr(row, field.name))
        if field.default is MISSING:
            given.append(repr(value) if isinstance(row, Synapses) else f"{field.name}={value!r}")
        elif value != field.default:
            given.append(f"{field.name}={value!r}")
    return f"{type(row).__name__}({', '.join(given)})"
