"""Limits of the Loihi chips. Weights and membranes are in units of an 8-bit weight.

Sources, the most reliable first:

[Lava]   lava-nc 0.10.0: docstrings and fixed-point models of lava.proc.lif, dense and sparse.
[nengo]  nengo-loihi 1.0, block.py, builder/discretize.py: constants used on Loihi 1 boards.
[2018]   M. Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning",
         IEEE Micro 38(1), 2018, abstract.
[2021]   Intel, "Taking neuromorphic computing to the next level with Loihi 2", technology brief.
[taken]  No public source; a cautious value, mostly that of the other chip.
"""

from __future__ import annotations

from qcompiler.backends.chip import Chip

LOIHI_1 = Chip(
    name="Loihi 1",
    weight=254,  # [Lava] 8 bits; mixed signs keep even numbers; half of it with the exponent -1
    exponent=7,  # [nengo] weight_exp from -7 to 7
    input=32767,  # [Lava] a_in of LIF has a precision of 16 bits; [nengo] 21 bits + sign, shifted
    state=131071,  # [Lava] u, v: 24 bits, of which the lowest 6 lie below the unit of weights
    threshold=131071,  # [Lava] vth: 17 bits
    bias=8190,  # [Lava] bias_mant: 13 bits, even with the exponent 7, else 6; [nengo] the same
    delay=62,  # [taken] 6 bits, as on Loihi 2, of which tools for Loihi 1 use one value less
    neurons_per_core=1024,  # [nengo] MAX_COMPARTMENTS; [2018]
    input_axons_per_core=4096,  # [nengo] MAX_IN_AXONS
    output_axons_per_core=4096,  # [nengo] MAX_OUT_AXONS
    synapse_bits_per_core=1 << 20,  # [nengo] MAX_SYNAPSE_BITS, 128 KiB
    cores=128,  # [2018]
)

LOIHI_2 = Chip(
    name="Loihi 2",
    weight=254,  # [Lava]
    exponent=7,  # [taken]
    input=32767,  # [Lava]
    state=131071,  # [Lava]
    threshold=131071,  # [Lava]
    bias=8190,  # [Lava]
    delay=63,  # [Lava] DelaySparse: "Loihi 2 has a maximum of 6 bits for delays"
    neurons_per_core=8192,  # [2021] up to 8192, depending on their state
    input_axons_per_core=4096,  # [taken]
    output_axons_per_core=4096,  # [taken]
    synapse_bits_per_core=1 << 20,  # [2021] 192 KB a core, shared with neurons; [taken] 128 KiB
    cores=128,  # [Lava] NUM_VIRTUAL_CORES_L2; [2021]
)
