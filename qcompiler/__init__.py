"""Compile trained neural networks to spiking networks, one spike per value.

    program = qcompiler.compile("model.onnx", calibration=images)
    outputs = program.run(images)

The public names are those of `__all__`. Pass authors also use `qcompiler.ir` and
`qcompiler.passes`; backend authors use `qcompiler.backends`.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Program, load, passes_, targets
    from .data import DataSet
    from .ir import CompileError, CompileWarning
    from .passes import Pipeline
    from .python_calls import compile, from_torch

    __version__: str

__all__ = [
    "CompileError",
    "CompileWarning",
    "DataSet",
    "Pipeline",
    "Program",
    "__version__",
    "compile",
    "from_torch",
    "load",
    "passes_",
    "targets",
]

_HOME = {
    "CompileError": "qcompiler.ir",
    "CompileWarning": "qcompiler.ir",
    "DataSet": "qcompiler.data",
    "Pipeline": "qcompiler.passes",
    "Program": "qcompiler.api",
    "compile": "qcompiler.python_calls",
    "from_torch": "qcompiler.python_calls",
    "load": "qcompiler.api",
    "passes_": "qcompiler.api",
    "targets": "qcompiler.api",
}

# In a checkout the sub-packages lie beside this folder, not inside it (see pyproject.toml).
if not (_here := Path(__file__).parent).joinpath("ir").is_dir():
    __path__.append(str(_here.parent))


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that importing `qcompiler.ir` stays light."""
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """The version in pyproject.toml, as installed; a bare checkout has none."""
    from importlib import metadata

    try:
        return metadata.version("qcompiler-snn")
    except metadata.PackageNotFoundError:
        return "0+uninstalled"
