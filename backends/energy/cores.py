"""The cores that a network lies on, as far as time and static power hang on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cores:
    """Cores by population, of all populations and clocks, and neurons of the fullest.

    ``shared`` has the populations of every core that holds several. ``messages`` are the cores that
    a spike is sent to, on average, by sender: populations, inputs and clocks.
    """

    of: Mapping[str, int]
    total: int
    fullest: int
    shared: tuple[tuple[str, ...], ...] = ()
    messages: Mapping[str, float] = field(default_factory=dict)

    def busiest(self, work: Mapping[str, float]) -> float:
        """The most work of a core, given that of some populations on one of the cores of each."""
        together = {name for group in self.shared for name in group}
        alone = [amount for name, amount in work.items() if name not in together]
        shared = [sum(work.get(name, 0.0) for name in group) for group in self.shared]
        return max(alone + shared, default=0)


def messages_of(cores: Cores | None, sender: str) -> float:
    """Messages that a spike of this sender takes: one at least, also where no cores are known."""
    return max(1.0, cores.messages.get(sender, 1.0)) if cores else 1.0
