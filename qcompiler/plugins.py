"""Installed plugins, by the entry points that they declare.

One is loaded when its name is asked for, so that a broken plugin breaks nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from .ir import CompileError, PipelineError
from .ir.diagnostics import kind_and_text

_Found = TypeVar("_Found")


def plugins(group: str, own: Container[str]) -> dict[str, EntryPoint]:
    """The entry points of a group by name. PipelineError if one has a name of ``own``."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.get(point.name)
        if point.name in own or (other is not None and other != point):
            raise PipelineError(
                f"{_owner(point)} declares {group} '{point.name}', which "
                f"{_owner(other) if other else 'qcompiler'} declares already"
            )
        found[point.name] = point
    return found


def load(group: str, name: str, own: Container[str]) -> Any:
    """What an entry point names, or None. PipelineError if it cannot load."""
    point = plugins(group, own).get(name)
    if point is None:
        return None
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = f"the plugin {name} of {_owner(point)} cannot load"
        raise PipelineError(f"{what}: {_reason(error)}") from error


def working(
    find: Callable[[str], _Found | None],
    names: Iterable[str],
    tell: Callable[[str], None],
) -> dict[str, _Found]:
    """What is found by each name; of a broken plugin only ``tell`` hears."""
    found: dict[str, _Found] = {}
    for name in names:
        try:
            one = find(name)
        except CompileError as error:
            for finding in error.diagnostics:
                tell(finding.text)
        else:
            if one is not None:
                found[name] = one
    return found


def _reason(error: BaseException) -> str:
    """What an error says; one of ours is a sentence already."""
    if isinstance(error, CompileError):
        return error.diagnostics[0].message
    return kind_and_text(error)


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
