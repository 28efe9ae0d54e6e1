"""The process that hosts the library of a linked device: `python -m daemon.linked_worker`.

The library may take its process down or hang, so that the daemon never imports it. Everything that
is the library's own is in its driver; the rest of this package uses the interface of drivers.
"""
