"""What Python code calls: `compile`, whose messages name keywords, also for modules of PyTorch.

torch.onnx writes a module, and `compile` reads what it has written.
"""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec
from inspect import signature
from typing import Any

from . import api
from .api import Program
from .compilation.keywords import told_in_keywords
from .ir import PipelineError, UnsupportedModel

compile = told_in_keywords(api.compile)


def from_torch(module: Any, example: Any, **options: Any) -> Program:
    """Compile a `torch.nn.Module`; ``options`` are those of `compile`.

    ``example`` is a tensor, or a tuple of tensors, one for each input of ``forward``: a batch of
    inputs, whose first axis counts the samples and may have any length in the program. The module
    is exported in evaluation mode; inputs have the names of the parameters of ``forward``. Raises
    PipelineError without PyTorch, UnsupportedModel if torch.onnx cannot export the module, and what
    `compile` raises.
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
    before = module.training
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of exporters: on what they are going to change
            exported = _exported(torch, module, given)
    except Exception as error:  # exporters raise almost anything
        message = f"torch.onnx cannot export {type(module).__name__}: {_reason(error)}"
        raise UnsupportedModel(message) from error
    finally:
        module.train(before)
    return compile(exported, **options)


def _reason(error: BaseException) -> str:
    """What an exporter's first error says; it wraps it in others, with advice on itself."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _exported(torch: Any, module: Any, given: tuple[Any, ...]) -> bytes:
    """The module as an ONNX file, from the newer exporter where its library is installed."""
    names = list(signature(module.forward).parameters)[: len(given)]
    if find_spec("onnxscript") is None:
        file = io.BytesIO()
        axes = {name: {0: "N"} for name in names}
        torch.onnx.export(module, given, file, dynamo=False, input_names=names, dynamic_axes=axes)
        return file.getvalue()
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in given)
    # torch takes a batch of one sample for a fixed length
    batch = tuple(one if len(one) > 1 else torch.cat([one, one]) for one in given)
    program = torch.onnx.export(
        module, batch, input_names=names, dynamic_shapes=shapes, dynamo=True, verbose=False
    )
    content: bytes = program.model_proto.SerializeToString()
    return content
