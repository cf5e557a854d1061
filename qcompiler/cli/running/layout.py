"""Lines on how a network lies on the chips of its target."""

from __future__ import annotations

from collections.abc import Iterator

from qcompiler.backends.loihi.mapping.chip_layout import Layout


def layout_lines(layout: Layout | None, verbose: bool = False) -> Iterator[tuple[str, str]]:
    """Names and texts: how full cores are, messages, and over links of chips.

    With ``verbose`` also a line for each chip.
    """
    if layout is None or not layout.chips:
        return
    messages = f"{layout.messages:,} messages a frame between populations"
    yield (
        "layout",
        f"cores {100 * layout.use:.0f} % full on average; {messages} and {layout.inputs:,} from "
        "the host, if every neuron spikes once",
    )
    if layout.links:
        busiest = max(range(len(layout.links)), key=layout.links.__getitem__)
        yield (
            "links",
            f"the busiest of {len(layout.links):,} between chips in a row is {busiest + 1} to "
            f"{busiest + 2}: {layout.links[busiest]:,} messages a frame",
        )
    if not verbose:
        return
    for number, chip in enumerate(layout.chips, 1):
        parts = ", ".join(f"{name} {cores:,}" for name, cores in chip.populations.items())
        yield f"chip {number}", f"{chip.cores:,} cores, {100 * chip.use:.0f} % full: {parts}"
