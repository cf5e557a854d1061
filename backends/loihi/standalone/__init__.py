"""The module ``network.py`` in a program directory, which needs numpy and Lava but not qcompiler.

Read in this order: `emitter` writes the module and its arrays; `module_template` joins the source
of several modules of this package to one text; `command` holds the functions and the command line
that the user calls; `files` reads and writes arrays.
"""
