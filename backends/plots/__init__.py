"""Pictures of a program, drawn with matplotlib: `Program.plot`.

`rows` is what all pictures have in common: one row for each population, or for several that are
folded. `canvas` holds the look, `inline_svg` makes pictures part of an HTML page.
"""
