"""The time of a frame, streaming and alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from .cores import Cores
from .cost_model import CostModel
from .events import Events
from .wiring import Wiring


@dataclass(frozen=True)
class Times:
    """Microseconds of one frame, streaming, and from its first step to its last output spike."""

    frame_us: float
    latency_us: float


def times_of(
    wiring: Wiring, events: Mapping[str, Events], model: CostModel, cores: Cores
) -> Times | None:
    """Every step ends for all cores together; its events keep the busiest core longest.

    In the latency the events of windows follow each other, and the cores of one window work at
    once. Streaming, all come at the same time.
    """
    if model.times is None:
        return None
    update_ns, event_ns, sync_ns = model.times
    step = sync_ns + cores.fullest * update_ns
    busy = {name: event_ns * events[name].total / count for name, count in cores.of.items()}
    windows: dict[Hashable, dict[str, float]] = defaultdict(dict)
    for name, work in busy.items():
        windows[wiring.windows.get(name, name)][name] = work
    frame = wiring.interval * step + cores.busiest(busy)
    alone = wiring.latency * step + sum(map(cores.busiest, windows.values()))
    return Times(frame * 1e-3, alone * 1e-3)
