"""Mutated models and programs: each must work, or be refused with a CompileError.

    python -m tests.support.mutants FIRST COUNT

A mutant is a function of its seed. Counts of the outcomes are printed as JSON; a seed whose outcome
is neither is listed with its traceback.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileError
from tests.support.onnx_models import ints, model

MODELS = tuple(
    proto.SerializeToString()
    for proto in (
        model(
            "float[N,2,8,8] x",
            "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c)"
            " p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) f = Reshape(p, s) y = Gemm(f, v)",
            w=(4, 2, 3, 3),
            b=(4,),
            v=(64, 5),
            s=ints(0, -1),
        ),
        model(
            "float[N,6] x, float[N,6] z",
            "h = Gemm(x, w) k = Sigmoid(z) a = Concat<axis=1>(h, k) r = Clip(a, l) y = Softmax(r)",
            w=(6, 8),
            l=np.zeros((), np.float32),
        ),
    )
)
_NUMBERS = [
    "0",
    "-1",
    "1",
    "3",
    "1000000",
    "99999999999",
    "1e400",
    "nan",
    "inf",
    "(1,",
    "1)",
    "None",
    "True",
    "'a'",
    "64",
    "0x10",
]
_PIECES = ("", "(", ")", "{", "}", "[", "%", "#", '"', "\\", "\0", "\u2028", "é", "=", "x" * 70_000)


def mutated_bytes(chance: random.Random, data: bytes) -> bytes:
    """A file with bytes changed, cut or doubled."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(found))
        match chance.randrange(4):
            case 0:
                found[at] = chance.randrange(256)
            case 1:
                found[at] = (found[at] + chance.choice((-1, 1))) % 256
            case 2:
                found[at:at] = found[at : at + chance.randrange(20)]
            case _:
                del found[at : at + chance.choice((1, 1, 2, 1000))]
        found = found or bytearray(b"\0")
    return bytes(found)


def mutated_text(chance: random.Random, text: str) -> str:
    """A text with a line, a number or a character changed."""
    lines = text.split("\n")
    at, how = chance.randrange(len(lines)), chance.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, chance.choice(lines))
    elif how == 2 and (found := list(re.finditer(r"-?\d+(\.\d+)?", lines[at]))):
        one = chance.choice(found)
        lines[at] = lines[at][: one.start()] + chance.choice(_NUMBERS) + lines[at][one.end() :]
    elif lines[at]:
        place = chance.randrange(len(lines[at]))
        after = lines[at][place + chance.randrange(3) :]
        lines[at] = lines[at][:place] + chance.choice(_PIECES) + after
    return "\n".join(lines)


def import_mutant(chance: random.Random, folder: Path) -> None:
    import_model(mutated_bytes(chance, chance.choice(MODELS)))


def load_mutant(chance: random.Random, folder: Path) -> None:
    mutant = folder / "mutant"
    shutil.rmtree(mutant, ignore_errors=True)
    shutil.copytree(folder / "program", mutant)
    name = chance.choice(("manifest.json", "network.qir", "network.qir", "arrays.npz"))
    path = mutant / name
    if name == "arrays.npz" or chance.random() < 0.1:
        path.write_bytes(mutated_bytes(chance, path.read_bytes()))
    else:
        path.write_text(mutated_text(chance, path.read_text()), encoding="utf-8")
    program = qcompiler.load(mutant)
    program.report().to_dict()
    program.save(folder / "again")


def outcome(run: Callable[[random.Random, Path], None], seed: int, folder: Path) -> str:
    """``fine``, ``refused``, or a traceback."""
    try:
        run(random.Random(seed), folder)
    except CompileError:
        return "refused"
    except BaseException:
        return traceback.format_exc()
    return "fine"


def main(first: int, count: int) -> dict[str, object]:
    """Outcomes of mutants of both kinds, and what was wrong, by kind and seed."""
    warnings.simplefilter("ignore")
    wrong: dict[str, str] = {}
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        qcompiler.compile(MODELS[0], target="reference").save(folder / "program")
        for run in (import_mutant, load_mutant):
            for seed in range(first, first + count):
                found = outcome(run, seed, folder)
                if found not in ("fine", "refused"):
                    wrong[f"{run.__name__} {seed}"], found = found, "wrong"
                counts[f"{run.__name__} {found}"] += 1
    return {**counts, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2])), indent=1))
