"""The built-in cost models, and the figures of other machines that they are compared with.

Sources:

[2018]    M. Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning",
          IEEE Micro 38(1), 2018, Table 2: simulated before the chip was made.
[2020]    E. P. Frady et al., "Neuromorphic nearest-neighbor search using Intel's Pohoiki Springs",
          arXiv 2004.12691: measured static power of 104 mW a chip of 128 cores.
[Quartz]  "Quartz-on-Loihi", notebooks with the probes of the boards, for t_max 8 to 128 on MNIST.
[SANA]    SANA-FE, arch/loihi.yaml: fitted to boards of Loihi 1.
[2014]    M. Horowitz, "Computing's energy problem", ISSCC 2014: operations and memories at 45 nm.
[keras]   keras-spiking, ModelEnergy: GPU and ARM.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .cost_model import CostModel

LOIHI1 = CostModel(
    name="loihi1",
    update_pj=81.0,  # [2018] of an active neuron: boards need it for every neuron
    event_pj=23.6,  # [2018]
    spike_pj=1.7,  # [2018] within a tile
    hop_pj=3.5,  # [2018] one hop, east to west 3.0 and north to south 4.0
    static_mw=0.815,  # [2020]
    update_ns=8.4,  # [2018]
    event_ns=3.5,  # [2018]
    sync_ns=465.0,  # [2018] barrier of 32 tiles
    source="Davies et al. 2018, Table 2; static power: Frady et al. 2020",
    basis="published before the chip was made; predicts the energy of boards within 15 %",
)

LOIHI1_FIT = replace(
    LOIHI1,
    name="loihi1-fit",
    update_pj=76.6,  # [Quartz] least squares over five networks
    event_pj=34.4,
    spike_pj=0.0,
    hop_pj=0.0,
    source="probes of Quartz-on-Loihi; times: Davies et al. 2018",
    basis="fitted to the cores' dynamic energy on boards of Loihi 1",
)

SANA_FE = CostModel(
    name="sana-fe",
    update_pj=72.8,  # [SANA] 51.2, and 21.6 if the neuron is active
    event_pj=24.0,  # [SANA] of convolutions; dense layers 35.5
    spike_pj=69.3,
    hop_pj=111.0,  # [SANA] a message
    static_mw=0.815,  # [2020]
    update_ns=9.7,
    event_ns=3.1,
    sync_ns=1800.0,
    source="SANA-FE, arch/loihi.yaml; static power: Frady et al. 2020",
    basis="a simulator's figures, fitted to boards of Loihi 1",
)

CMOS45 = CostModel(
    name="cmos45",
    update_pj=15.3,  # [2014] state of 24 bits, twice read and written in 8 KiB, and two additions
    event_pj=11.4,  # [2014] weight of a byte from 128 KiB, accumulator read and written in 8 KiB
    source="Horowitz 2014",
    basis="a digital circuit at 45 nm, memories and arithmetic only; no times, no static power",
)

MODELS = {model.name: model for model in (LOIHI1, LOIHI1_FIT, SANA_FE, CMOS45)}


@dataclass(frozen=True)
class ProductCost:
    """Energy of one multiplication and addition (MAC) of an artificial network on a machine."""

    name: str
    mac_pj: float
    source: str


ANN_PLAIN = ProductCost("8-bit ANN at 45 nm, no weight reused", 5.3, "Horowitz 2014")
ANN_REUSE = ProductCost("8-bit ANN at 45 nm, weights reused", 1.6, "Horowitz 2014")
GPU = ProductCost("GPU", 300.0, "keras-spiking")
ARM = ProductCost("ARM core", 900.0, "keras-spiking")
