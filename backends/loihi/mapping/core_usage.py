"""What a core has of each resource, and what is used of it."""

from __future__ import annotations

from typing import NamedTuple

from qcompiler.backends.chip import Chip

RESOURCES = ("neurons", "input axons", "output axons", "bits of synapses")


class CoreUsage(NamedTuple):
    """Usage of each resource on one core, or the maximum over several cores."""

    neurons: int
    input_axons: int
    output_axons: int
    synapse_bits: int

    def shares(self, chip: Chip) -> dict[str, float]:
        """Parts of what a core of the chip has, by the name of the resource."""
        return {name: used / allowed for name, used, allowed in self.against(chip)}

    def against(self, chip: Chip) -> tuple[tuple[str, int, int], ...]:
        """Name, use and limit of each resource."""
        return tuple(zip(RESOURCES, self, limits(chip), strict=True))

    def within(self, most: CoreUsage) -> bool:
        """Whether no resource is used more than there."""
        return all(used <= allowed for used, allowed in zip(self, most, strict=True))


def limits(chip: Chip) -> CoreUsage:
    """What a core of the chip has of each resource."""
    return CoreUsage(
        chip.neurons_per_core,
        chip.input_axons_per_core,
        chip.output_axons_per_core,
        chip.synapse_bits_per_core,
    )
