"""Sealed copies of an installation: made, tested, listed, restored, and moved to another server."""
