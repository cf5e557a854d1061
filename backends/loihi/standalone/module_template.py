"""The source of the standalone module: several modules of this package, joined to one.

The module runs without this package. Its parts therefore import only the standard library, numpy
and each other; they import the simulator inside functions.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

PLACEHOLDER = "NETWORK = Netlist()"  # the line of `netlist` that the network's netlist replaces

_PACKAGES = """try:
{imports}
except ImportError as error:
    if __name__ != "__main__":
        raise
    sys.exit(f"error: {{error}}; {requirements}")"""


@dataclass(frozen=True)
class Template:
    """A standalone module: its docstring, what it requires in words, and the modules it joins."""

    docstring: str
    requirements: str
    parts: tuple[ModuleType, ...]

    def source(self, netlist_source: str = PLACEHOLDER) -> str:
        """The module, as Python source, with this assignment of a netlist to `NETWORK`."""
        imports: list[ast.stmt] = []
        bodies = []
        for part in self.parts:
            header, body = _split_module(part)
            imports += header
            bodies.append(body)
        text = "\n\n\n".join(bodies)
        assert text.count(f"\n{PLACEHOLDER}\n") == 1
        merged = _merged_imports(imports, self.requirements)
        head = f"{self.docstring}\nfrom __future__ import annotations\n\n{merged}\n\n"
        return head + text.replace(f"\n{PLACEHOLDER}\n", f"\n{netlist_source}\n") + "\n"


def _split_module(part: ModuleType) -> tuple[list[ast.stmt], str]:
    """The imports of a module, and the text of all that follows them, comments and all."""
    text = inspect.getsource(part)
    imports = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    lines = text.splitlines(keepends=True)
    return list(imports), "".join(lines[imports[-1].end_lineno :]).strip()


def _merged_imports(imports: Sequence[ast.stmt], requirements: str) -> str:
    """Every import once, Python's own library first; none of what one part has of another.

    As a command the module says in one sentence what it misses of the rest.
    """
    whole: set[str] = set()
    taken: dict[str, set[str]] = {}
    for node in imports:
        if isinstance(node, ast.Import):
            whole.update(map(ast.unparse, node.names))
        elif isinstance(node, ast.ImportFrom) and _is_external(node):
            taken.setdefault(str(node.module), set()).update(map(ast.unparse, node.names))
    lines = [f"import {name}" for name in sorted(whole)]
    lines += [
        f"from {module} import {', '.join(sorted(taken[module]))}" for module in sorted(taken)
    ]
    own = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    others = "\n".join(f"    {line}" for line in lines if line not in own)
    return "\n".join([*own, "", _PACKAGES.format(imports=others, requirements=requirements)])


def _is_external(node: ast.ImportFrom) -> bool:
    """Whether it imports from a package of others."""
    top = (node.module or "").partition(".")[0]
    return not node.level and top not in ("__future__", "qcompiler")
