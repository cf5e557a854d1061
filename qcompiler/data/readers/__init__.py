"""The built-in readers, one file per kind of data; ``built_in`` lists them.

Each claims paths by their names or first bytes, and opens one as a `Source`. Libraries of the extra
``data`` are imported when a file needs them.
"""
