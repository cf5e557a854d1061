"""The codes in which populations send levels: each an object that answers for itself."""

from qcompiler.ir.types import Coding

from .burst import Burst
from .code import Code, Fault, Neurons
from .one_spike import OneSpike
from .silent import Silent

CODES: dict[Coding, Code] = {code.name: code for code in (OneSpike(), Silent(), Burst())}

__all__ = ["CODES", "Burst", "Code", "Fault", "Neurons", "OneSpike", "Silent"]
