"""The child process that runs an ONNX model in onnxruntime, which some models crash.

It reads and writes messages: a length, a JSON text, a length, and arrays in numpy's .npz format.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

_LENGTH = struct.Struct("<Q")
_MOST_BYTES = 1 << 40
_SHARED = "Initializer with same name exists"
_WRONG = ["Pad_Fusion"]  # a maximum of negative numbers and padding is then never zero


def send(stream: IO[bytes], head: Any, arrays: Sequence[Any] = ()) -> None:
    """Write a message."""
    held = BytesIO()
    np.savez(held, *arrays)
    for part in (json.dumps(head).encode(), held.getbuffer()):
        stream.write(_LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Any, list[Any]]:
    """Read a message; EOFError if the other side has ended."""
    head, held = (_exactly(stream, _LENGTH.unpack(_exactly(stream, 8))[0]) for _ in range(2))
    with np.load(BytesIO(held), allow_pickle=False) as archive:
        return json.loads(head), [archive[f"arr_{index}"] for index in range(len(archive.files))]


def _exactly(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count) if count <= _MOST_BYTES else b""
    if len(found) < count:  # the process has ended, or writes something else
        raise EOFError
    return found


def _plain(result: Any) -> Any:
    """An output as an array without objects: texts stay, maps become texts."""
    array = np.asarray(result)
    return array if array.dtype.kind != "O" else array.astype(str)


def exact_session(path: str, threads: int) -> onnxruntime.InferenceSession:
    """A session whose sums of products of 8 bits are exact on any processor.

    Without VNNI the instruction that onnxruntime takes for uint8 times int8 saturates at 16 bits.
    Told to be precise, it shifts weights to uint8, but fails where two nodes share one of them.
    """
    try:
        return _session(path, threads, precise=True)
    except Exception as error:
        if _SHARED not in str(error):
            raise
    try:
        return _session(_with_own_constants(path), threads, precise=True)
    except Exception:
        return _session(path, threads, precise=False)


def _session(source: str | bytes, threads: int, precise: bool) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", str(int(precise)))
    return onnxruntime.InferenceSession(
        source, options, providers=["CPUExecutionProvider"], disabled_optimizers=_WRONG
    )


def _with_own_constants(path: str) -> bytes:
    """The model, in which every node that reads an initialiser of 8 bits has it for itself."""
    import onnx

    model = onnx.load(path)
    graph, read = model.graph, set()
    bytes_of = {t.name: t for t in graph.initializer if t.data_type in (2, 3)}  # UINT8, INT8
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name in read:
                copied = graph.initializer.add()
                copied.CopyFrom(bytes_of[name])
                copied.name = node.input[at] = f"{name}:{len(graph.initializer)}"
            elif name in bytes_of:
                read.add(name)
    return bytes(model.SerializeToString())


def _serve(source: IO[bytes], sink: IO[bytes], path: str, threads: int) -> None:
    session = exact_session(path, threads)
    inputs = [[given.name, given.type, list(given.shape)] for given in session.get_inputs()]
    known = {"inputs": inputs, "outputs": [output.name for output in session.get_outputs()]}
    known["defaults"] = [
        [given.name, given.type, list(given.shape)]
        for given in session.get_overridable_initializers()
    ]
    send(sink, known)
    while True:
        names, arrays = receive(source)
        results = session.run(None, dict(zip(names, arrays, strict=True)))
        send(sink, {}, [_plain(result) for result in results])


def main(path: str, threads: int) -> None:
    """Serve one model on the standard streams, until the other side closes them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as sink:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # what libraries print
        try:
            _serve(sys.stdin.buffer, sink, path, threads)
        except (EOFError, BrokenPipeError):
            return
        except Exception as error:
            send(sink, {"failed": [type(error).__name__, str(error)]})
