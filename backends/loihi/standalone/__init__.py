"""The module ``network.py`` in a program directory, which needs a simulator but not qcompiler.

Read in this order: `emitter` writes the module and its arrays; `module_template` joins the source
of several modules of this package to one text; `lava_template` names those for Lava, of which
`command` holds the functions that the user calls. `command_line` is that of every such module;
`files` reads and writes arrays.
"""
