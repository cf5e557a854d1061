"""Memory that synapses take on a core, in bits.

It is that of nengo-loihi 1.0, block.py, ``SynapseConfig.bits_per_axon``, with the indices that
``Synapse.idx_bits`` chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qcompiler.ir.kernels import Array

_WEIGHT, _DELAY = 8, 6  # bits of a synapse
_INDEX = 6  # and of its neuron's number: as many as it takes, but no less than these, or none
_HEADER, _BLOCK, _UNIT = 4 + 6, 64, 64  # bits of a block, its synapses, bits of memory it fills


def min_synapse_bits(synapses: int) -> int:
    """Lower bound of the memory of synapses in bits, on cores with several neurons."""
    return (_WEIGHT + _INDEX) * synapses


def synapse_bits(synapses: Array, neurons: int, delay: int) -> Array:
    """Bits that axons with these numbers of synapses store on a core of so many neurons.

    A block has up to 64 synapses: for each 8 bits of weight, its neuron's number, and 6 bits if
    there are delays; besides 10 bits, all rounded up to 64.
    """
    index = max(_INDEX, (neurons - 1).bit_length()) if neurons > 1 else 0
    each = _WEIGHT + index + (_DELAY if delay else 0)
    full, rest = np.divmod(synapses, _BLOCK)
    found: Array = full * _units(_BLOCK * each + _HEADER)
    found = found + np.where(rest, _units(rest * each + _HEADER), 0)
    return found


def _units(bits: Any) -> Any:
    return -(-bits // _UNIT) * _UNIT
