"""The corpus: small files that take every way of being refused that was found, one file for each.

    python -m tests.support.fuzz.corpus SECONDS

adds mutants of its files, and of whole ones, that are refused at another place. A file's name
begins with the target that reads it.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import random
import re
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qcompiler.ir import CompileError
from tests.support.fuzz.targets import TARGETS, program, run
from tests.support.mutants import mutated_bytes, mutated_text
from tests.support.onnx_models import model
from tests.support.operator_cases import CASES

CORPUS = Path(__file__).parent / "corpus"
_LARGEST = 4000  # bytes of a file that is kept
_MOST = 60  # files of a kind
_SAID = 60  # letters of a message that tell it from others
_NAMES = re.compile(r"\"[^\"]*\"|'[^']*'|\S*[/%\d]\S*")
_TEXTS = ("text", "manifest", "csv")


def entries() -> list[Path]:
    """The files of the corpus."""
    return sorted(path for path in CORPUS.iterdir() if kind_of(path) in TARGETS)


def kind_of(path: Path) -> str:
    """The target that reads a file."""
    return path.name.partition("-")[0]


def whole(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files that are read without a fault, by target."""
    for one in CASES.values():
        proto = model(one.inputs, one.body, min(17, one.newest), **one.weights)
        if proto.ByteSize() < _LARGEST:
            yield "model", proto.SerializeToString()
    names = {"text": "network.qir", "manifest": "manifest.json", "arrays": "arrays.npz"}
    for kind, name in names.items():
        yield kind, (program(folder) / name).read_bytes()
    values = np.arange(48, dtype=np.float32).reshape(6, 2, 4)
    for save in (np.savez, np.savez_compressed):
        held = io.BytesIO()
        save(held, x=values, y=np.arange(6))
        yield "npz", held.getvalue()
    held = io.BytesIO()
    np.save(held, values)
    yield "npy", held.getvalue()
    yield "csv", b'a,b,c,label\n1,2,3,"x"\n4,5,6,y\n7,8,9,x\n'
    yield "idx", struct.pack(">BBBBIII", 0, 0, 8, 3, 6, 2, 4) + bytes(48)
    batch = {b"data": np.zeros((1, 3072), np.uint8), b"labels": [1]}
    yield "pickle", pickle.dumps(batch, 2)


def place_of(kind: str, content: bytes, folder: Path) -> str:
    """Where a file is refused, and in which words, without names and numbers; else none.

    An error that is no CompileError is a fault, and ends the search.
    """
    try:
        run(kind, content, folder)
    except CompileError as error:
        frames = traceback.extract_tb(error.__traceback__)
        said = _NAMES.sub("", str(error).partition("\n")[0])
        return f"{Path(frames[-1].filename).stem}:{frames[-1].lineno} {said[:_SAID]}"
    return ""


def main(seconds: float) -> None:
    """Look for so many seconds of the processor, and write what is new."""
    CORPUS.mkdir(exist_ok=True)
    chance, end = random.Random(len(list(CORPUS.iterdir()))), time.process_time() + seconds
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        pool = [(kind_of(path), path.read_bytes()) for path in entries()]
        seen = {(kind, place_of(kind, content, folder)) for kind, content in pool}
        pool += whole(folder)
        kinds = sorted(TARGETS)
        while time.process_time() < end:
            kind = chance.choice(kinds)
            content = chance.choice([one for other, one in pool if other == kind])
            if kind in _TEXTS and chance.random() < 0.8:
                text = content.decode("utf-8", "replace")
                found = mutated_text(chance, text).encode("utf-8", "replace")
            else:
                found = mutated_bytes(chance, content)
            if len(found) > 2 * _LARGEST:
                continue
            place = place_of(kind, found, folder)
            if (kind, place) not in seen:
                seen.add((kind, place))
                pool.append((kind, found))
                kept = [path for path in CORPUS.iterdir() if kind_of(path) == kind]
                if len(found) <= _LARGEST and len(kept) < _MOST:
                    name = f"{kind}-{hashlib.sha256(found).hexdigest()[:10]}"
                    (CORPUS / name).write_bytes(found)


if __name__ == "__main__":
    main(float(sys.argv[1]))
