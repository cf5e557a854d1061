"""What Python code calls: `compile`, whose messages name keywords, also for modules of PyTorch.

torch.onnx writes a module, and `compile` reads what it has written.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import signature
from threading import Lock, get_ident
from typing import Any

from . import api
from .api import Program
from .compilation.keywords import told_in_keywords
from .ir import Diagnostic, PipelineError, UnsupportedModel

compile = told_in_keywords(api.compile)
_EXPORTING = Lock()  # torch's exporters keep state of the whole process


def from_torch(module: Any, example: Any, **options: Any) -> Program:
    """Compile a `torch.nn.Module`; ``options`` are those of `compile`.

    ``example`` is a tensor, or a tuple of tensors, one for each input of ``forward``: a batch of
    inputs, whose first axis counts the samples and may have any length in the program. The module
    is exported in evaluation mode, in one thread at a time; inputs have the names of the parameters
    of ``forward``. Raises PipelineError without PyTorch, UnsupportedModel if torch.onnx cannot
    export the module or an input is an output, and what `compile` raises.
    """
    try:
        import torch
    except ImportError as error:
        raise PipelineError("from_torch needs PyTorch: pip install torch onnxscript") from error
    if not isinstance(module, torch.nn.Module):
        raise PipelineError(f"from_torch takes a torch.nn.Module, not {type(module).__name__}")
    given = tuple(example) if isinstance(example, tuple | list) else (example,)
    if not given or not all(isinstance(one, torch.Tensor) and one.ndim for one in given):
        raise PipelineError("example must be a batch, a tensor, or a tuple of them")
    with _EXPORTING, _in_evaluation_mode(module), _quiet():
        exported = _exported(torch, module, given)
    return compile(exported, **options)


@contextmanager
def _in_evaluation_mode(module: Any) -> Iterator[None]:
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither warnings nor log lines of exporters, on what they are going to change."""
    thread = get_ident()
    loggers = [logging.getLogger(name) for name in ("torch", *logging.root.manager.loggerDict)]
    ours = [one for one in loggers if one.name.partition(".")[0] == "torch"]
    handlers = {handler for logger in ours for handler in logger.handlers}

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for handler in handlers:
        handler.addFilter(of_others)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(of_others)


def _exported(torch: Any, module: Any, given: tuple[Any, ...]) -> bytes:
    """The module as an ONNX file; UnsupportedModel if torch.onnx cannot write it."""
    kind = type(module).__name__
    try:
        written = _written(torch, module, given)
        content: bytes = written.SerializeToString()
    except Exception as error:  # exporters raise almost anything
        message = f"torch.onnx cannot export {kind}: {_reason(error)}"
        raise UnsupportedModel(
            Diagnostic(message, help=_axis_help(torch, module, given))
        ) from error
    names = {value.name for value in written.graph.input}
    if same := [value.name for value in written.graph.output if value.name in names]:
        message = f'{kind} returns its input "{same[0]}" unchanged'
        raise UnsupportedModel(Diagnostic(message, help="return only what the module computes"))
    return content


def _axis_help(torch: Any, module: Any, given: tuple[Any, ...]) -> str | None:
    """What to do where the module takes a batch of examples, and the example is none."""
    batches = (torch.cat([one, one]) for one in given), (torch.stack([one, one]) for one in given)
    longer, stacked = (_runs(torch, module, batch) for batch in batches)
    if longer or not stacked:
        return None
    shapes = ", ".join(str(tuple(one.shape)) for one in given)
    return f"the first axis of example, {shapes}, counts samples: for one give example[None]"


def _runs(torch: Any, module: Any, given: Iterable[Any]) -> bool:
    try:
        with torch.no_grad():
            module(*given)
    except Exception:  # modules raise almost anything
        return False
    return True


def _reason(error: BaseException) -> str:
    """What an exporter's first error says; it wraps it in others, with advice on itself."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip(" -") for line in str(error).strip().split("\n")]
    more = " " + lines[1] if lines[0].endswith(":") and len(lines) > 1 else ""
    return f"{type(error).__name__}: {lines[0]}{more}"


def _written(torch: Any, module: Any, given: tuple[Any, ...]) -> Any:
    """The module as a model of ONNX, from the newer exporter where its library is installed."""
    names = list(signature(module.forward).parameters)[: len(given)]
    if find_spec("onnxscript") is None:
        import onnx

        file = io.BytesIO()
        axes = {name: {0: "N"} for name in names}
        torch.onnx.export(module, given, file, dynamo=False, input_names=names, dynamic_axes=axes)
        return onnx.load_from_string(file.getvalue())
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in given)
    # torch takes a batch of one sample for a fixed length
    batch = tuple(one if len(one) > 1 else torch.cat([one, one]) for one in given)
    program = torch.onnx.export(
        module, batch, input_names=names, dynamic_shapes=shapes, dynamo=True, verbose=False
    )
    return program.model_proto
