"""The events engine: spikes, clocks and windows as in the steps engine, at the cost of the spikes.

Read `events_engine` first: populations one after another, each over the whole frame.
`event_populations` holds what each kind does with the spikes that reach it, `integration` the
membranes up to the read step, `firing` from then on. `scatter` adds weights where spikes arrive.
"""
