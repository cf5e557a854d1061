"""Which folder may import which, that nothing imports in a circle, and the public names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import networkx as nx
import pytest

import qcompiler
import qcompiler.ir
import qcompiler.passes

ROOT = Path(__file__).parent.parent
TOPS = ("ir", "passes", "backends", "qcompiler")
FILES = [path for folder in TOPS for path in sorted((ROOT / folder).rglob("*.py"))]
MOST_ENTRIES = 21  # of a folder: qcompiler has twelve folders, and modules of one subject each

# Rooms, and the rooms of the same top folder that each may import. What stands at the top of a
# folder is named like the folder itself.
ROOMS = {
    "ir": {
        "ir/ann",
        "ir/execution",
        "ir/formats",
        "ir/rewriting",
    },
    "ir/ann": {"ir"},
    "ir/execution": {
        "ir",
        "ir/ann",
        "ir/snn",
    },
    "ir/formats": {
        "ir",
        "ir/ann",
        "ir/snn",
    },
    "ir/rewriting": {"ir"},
    "ir/snn": {
        "ir",
        "ir/ann",
    },
    "ir/spiking": {
        "ir",
        "ir/ann",
        "ir/formats",
        "ir/snn",
    },
    "passes": set(),
    "passes/activations": {
        "passes/calibration",
        "passes/folding",
        "passes/folding/images",
        "passes/quantization",
    },
    "passes/calibration": {
        "passes/folding",
        "passes/quantization",
    },
    "passes/fitting": {"passes/quantization"},
    "passes/folding": {"passes/quantization"},
    "passes/folding/arrangement": {
        "passes/folding",
        "passes/quantization",
    },
    "passes/folding/images": {
        "passes/folding",
        "passes/folding/arrangement",
    },
    "passes/integers": {
        "passes/activations",
        "passes/calibration",
        "passes/fitting",
        "passes/folding",
        "passes/quantization",
        "passes/requantization",
    },
    "passes/quantization": set(),
    "passes/requantization": {"passes/quantization"},
    "passes/scheduling": set(),
    "passes/slicing": {
        "passes/scheduling",
        "passes/calibration",
        "passes/folding",
        "passes/quantization",
    },
    "passes/spiking": {
        "passes",
        "passes/calibration",
        "passes/integers",
        "passes/quantization",
        "passes/scheduling",
        "passes/slicing",
    },
    "passes/tensor": {
        "passes",
        "passes/activations",
        "passes/calibration",
        "passes/folding",
        "passes/folding/arrangement",
        "passes/folding/images",
        "passes/quantization",
        "passes/slicing",
    },
    "backends": {
        "backends/brian2",
        "backends/energy",
        "backends/loihi",
        "backends/loihi/mapping",
        "backends/loihi/netlist",
        "backends/nir",
        "backends/program",
        "backends/reference",
    },
    "backends/brian2": {
        "backends",
        "backends/loihi/netlist",
        "backends/loihi/standalone",
        "backends/reference",
    },
    "backends/energy": {"backends/loihi/netlist"},
    "backends/loihi": {
        "backends",
        "backends/energy",
        "backends/loihi/lava",
        "backends/loihi/mapping",
        "backends/loihi/netlist",
        "backends/loihi/standalone",
        "backends/reference",
    },
    "backends/loihi/lava": {
        "backends",
        "backends/energy",
        "backends/loihi/mapping",
        "backends/loihi/netlist",
    },
    "backends/loihi/mapping": {
        "backends",
        "backends/loihi/netlist",
    },
    "backends/loihi/netlist": set(),
    "backends/loihi/standalone": {
        "backends/loihi/lava",
        "backends/loihi/netlist",
    },
    "backends/nir": {
        "backends/loihi/netlist",
        "backends/reference",
    },
    "backends/plots": {
        "backends",
        "backends/energy",
        "backends/loihi/mapping",
        "backends/loihi/netlist",
    },
    "backends/program": {
        "backends",
        "backends/energy",
        "backends/loihi/mapping",
        "backends/loihi/netlist",
        "backends/plots",
        "backends/saving",
    },
    "backends/reference": {
        "backends",
        "backends/reference/events",
        "backends/reference/fast",
    },
    "backends/reference/events": {"backends"},
    "backends/reference/fast": {
        "backends",
        "backends/energy",
        "backends/reference/kernels",
    },
    "backends/reference/kernels": set(),
    "backends/saving": {"backends"},
    "qcompiler": {
        "qcompiler/cli",
        "qcompiler/compilation",
        "qcompiler/data",
        "qcompiler/manifest",
    },
    "qcompiler/cli": {
        "qcompiler",
        "qcompiler/comparison",
        "qcompiler/data",
        "qcompiler/manifest",
        "qcompiler/report",
        "qcompiler/search",
        "qcompiler/streaming",
        "qcompiler/terminal",
    },
    "qcompiler/cli/compiling": {
        "qcompiler",
        "qcompiler/cli",
        "qcompiler/cluster",
        "qcompiler/compilation",
        "qcompiler/data",
        "qcompiler/frontend",
        "qcompiler/frontend/importers",
        "qcompiler/search",
        "qcompiler/streaming",
        "qcompiler/terminal",
    },
    "qcompiler/cli/running": {
        "qcompiler",
        "qcompiler/cli",
        "qcompiler/cluster",
        "qcompiler/comparison",
        "qcompiler/data",
        "qcompiler/explain",
        "qcompiler/explain/measure",
        "qcompiler/report",
        "qcompiler/streaming",
        "qcompiler/terminal",
    },
    "qcompiler/cluster": {
        "qcompiler",
        "qcompiler/data",
        "qcompiler/manifest",
    },
    "qcompiler/comparison": {
        "qcompiler/comparison/errors",
        "qcompiler/data",
        "qcompiler/explain/causes",
        "qcompiler/explain/measure",
        "qcompiler/frontend",
        "qcompiler/frontend/model",
    },
    "qcompiler/comparison/errors": {"qcompiler/manifest"},
    "qcompiler/compilation": {
        "qcompiler",
        "qcompiler/comparison",
        "qcompiler/data",
        "qcompiler/frontend",
        "qcompiler/frontend/model",
        "qcompiler/manifest",
        "qcompiler/search",
        "qcompiler/streaming",
    },
    "qcompiler/data": {
        "qcompiler",
        "qcompiler/data/frames",
        "qcompiler/data/readers",
    },
    "qcompiler/data/frames": {"qcompiler"},
    "qcompiler/data/readers": {"qcompiler/data/frames"},
    "qcompiler/explain": {
        "qcompiler/data",
        "qcompiler/explain/causes",
        "qcompiler/explain/measure",
        "qcompiler/report",
        "qcompiler/terminal",
    },
    "qcompiler/explain/causes": {
        "qcompiler/data",
        "qcompiler/explain/measure",
        "qcompiler/frontend",
        "qcompiler/frontend/model",
    },
    "qcompiler/explain/measure": {
        "qcompiler/data",
        "qcompiler/frontend",
        "qcompiler/manifest",
        "qcompiler/streaming",
    },
    "qcompiler/frontend": {
        "qcompiler/frontend/importers",
        "qcompiler/frontend/importers/composites",
        "qcompiler/frontend/importers/elementwise",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/importers": {
        "qcompiler/frontend/importers/composites",
        "qcompiler/frontend/importers/elementwise",
        "qcompiler/frontend/importers/layers",
        "qcompiler/frontend/importers/quantised",
        "qcompiler/frontend/importers/views",
        "qcompiler/frontend/importers/whole_numbers",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/importers/composites": {
        "qcompiler/frontend/importers/elementwise",
        "qcompiler/frontend/importers/layers",
        "qcompiler/frontend/importers/views",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/importers/elementwise": {
        "qcompiler/frontend/importers/views",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/importers/layers": {
        "qcompiler/frontend/importers/elementwise",
        "qcompiler/frontend/importers/views",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/importers/quantised": {
        "qcompiler/frontend/importers/composites",
        "qcompiler/frontend/importers/elementwise",
        "qcompiler/frontend/importers/layers",
        "qcompiler/frontend/importers/views",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/importers/views": {"qcompiler/frontend/model"},
    "qcompiler/frontend/importers/whole_numbers": {
        "qcompiler/frontend/importers/elementwise",
        "qcompiler/frontend/importers/layers",
        "qcompiler/frontend/importers/views",
        "qcompiler/frontend/model",
    },
    "qcompiler/frontend/model": set(),
    "qcompiler/manifest": {"qcompiler"},
    "qcompiler/report": {
        "qcompiler",
        "qcompiler/data",
        "qcompiler/manifest",
        "qcompiler/search",
        "qcompiler/terminal",
    },
    "qcompiler/search": {
        "qcompiler",
        "qcompiler/cluster",
        "qcompiler/data",
    },
    "qcompiler/streaming": {"qcompiler/data"},
    "qcompiler/terminal": set(),
}
LAYERS = {
    "ir": {"ir"},
    "passes": {"ir", "passes"},
    "backends": {"ir", "backends"},
    "qcompiler": {"ir", "passes", "backends", "qcompiler"},
}


def module_of(path: Path) -> str:
    """The import name of a file."""
    top, *rest = path.relative_to(ROOT).with_suffix("").parts
    names = [part for part in rest if part != "__init__"]
    return ".".join(["qcompiler", *([] if top == "qcompiler" else [top]), *names])


MODULES = {module_of(path): path for path in FILES}


def room_of(module: str) -> str:
    return MODULES[module].parent.relative_to(ROOT).as_posix()


def node_of(module: str) -> str:
    """A room; of what stands at the top of a folder, the module itself."""
    room = room_of(module)
    return module if room in TOPS else room


@cache
def imported(module: str) -> frozenset[str]:
    """Our modules that a module imports, inside of functions and for types, too."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, f"{path} imports relatively from above its folder"
            base = node.module or ""
            if node.level:
                base = f"{package}.{base}" if base else package
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else base for name in names]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            assert top not in {"ir", "passes", "backends"}, f"{path} imports bare {name}"
            assert top != "qcompiler" or name in MODULES, f"{path} imports {name}, which is nothing"
        found |= MODULES.keys() & set(names)
    return frozenset(found - {module})


@pytest.mark.parametrize("module", MODULES)
def test_layers(module: str) -> None:
    """Folders at the top import downwards, and rooms only the rooms that `ROOMS` names."""
    room = room_of(module)
    top = room.partition("/")[0]
    for other in map(room_of, imported(module)):
        above = other.partition("/")[0]
        assert above in LAYERS[top], f"{module} imports {other}"
        assert above != top or other == room or other in ROOMS[room] or public(module), other


def public(module: str) -> bool:
    """Whether a module only collects the public names of a folder at the top."""
    return module in {"qcompiler", "qcompiler.backends", "qcompiler.ir", "qcompiler.passes"}


def test_every_room_has_its_rule() -> None:
    assert {room_of(module) for module in MODULES} == ROOMS.keys()


def test_no_circles() -> None:
    modules = nx.DiGraph((module, other) for module in MODULES for other in imported(module))
    # What imports a room may not be imported by it, though modules alone would make no circle.
    rooms = nx.DiGraph(
        (node_of(a), node_of(b)) for a, b in modules.edges if node_of(a) != node_of(b)
    )
    for graph in (modules, rooms):
        circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
        assert not circles


def test_rooms_are_small_and_say_what_they_are() -> None:
    for room in ROOMS:
        entries = [path for path in (ROOT / room).iterdir() if path.name != "__pycache__"]
        assert len(entries) <= MOST_ENTRIES, f"{room} has {len(entries)} entries"
        text = (ROOT / room / "__init__.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), f"{room} does not say what it holds"


def test_the_wheel_has_every_room() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.partition("packages = [")[2].partition("]")[0]
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert {line.strip(' ",') for line in listed.split()} == packages


def absolute_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_other_packages_that_are_imported_are_declared() -> None:
    """As dependencies or extras. Lava brings SciPy along, whose matrices nothing else takes.

    PyTorch is what the user's own module is made with.
    """
    texts = (requirement.lower() for requirement in metadata.requires("qcompiler-snn") or [])
    declared = {re.split(r"[^\w-]", text)[0] for text in texts if 'extra == "dev"' not in text}
    declared |= {"qcompiler", "scipy", "torch", *sys.stdlib_module_names}
    other_names = {"pil": "pillow", "lava": "lava-nc", "dask": "distributed", "tomllib": "tomli"}
    for path in MODULES.values():
        for name in absolute_imports(path):
            top = name.partition(".")[0].lower()
            assert other_names.get(top, top) in declared, f"{path} imports {name}"


def test_only_the_rooms_for_lava_import_lava() -> None:
    naming = {
        path.parent.relative_to(ROOT).as_posix()
        for path in FILES
        for name in absolute_imports(path)
        if name.partition(".")[0] == "lava"
    }
    assert naming == {"backends/loihi/lava", "backends/loihi/standalone"}


def test_simulators_take_what_plugins_are_told_of() -> None:
    page = (ROOT / "docs/howto/add-a-target-and-engine.md").read_text(encoding="utf-8")
    for module in MODULES:
        if (room := room_of(module)) in ("backends/brian2", "backends/nir"):
            for other in imported(module):
                name = other.removeprefix("qcompiler.backends.")
                known = name == other or room_of(other) == room or f"`{name}`" in page
                assert known, f"{module} imports {other}"


def test_the_ground_is_light() -> None:
    code = (
        "import sys, qcompiler.ir\n"
        "heavy = {'onnx', 'onnxruntime', 'networkx', 'lava', 'rich', 'scipy'} & set(sys.modules)\n"
        "ours = {m for m in sys.modules if m.startswith('qcompiler.') and '.ir' not in m}\n"
        "bare = {'ir', 'passes', 'backends'} & set(sys.modules)\n"
        "assert not (heavy or ours or bare), (heavy, ours, bare)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "module",
    [qcompiler, qcompiler.ir, qcompiler.passes],
    ids=lambda module: module.__name__,
)
def test_public_names_exist_and_are_sorted(module: object) -> None:
    names = list(module.__all__)  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(getattr(module, name) is not None for name in names)
