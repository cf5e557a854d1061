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
from typing import IO, Any

import numpy as np

_LENGTH = struct.Struct("<Q")
_MOST_BYTES = 1 << 40
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


def _serve(source: IO[bytes], sink: IO[bytes], path: str, threads: int) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], disabled_optimizers=_WRONG
    )
    inputs = [[given.name, given.type, list(given.shape)] for given in session.get_inputs()]
    send(sink, {"inputs": inputs, "outputs": [output.name for output in session.get_outputs()]})
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
