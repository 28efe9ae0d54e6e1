"""Sealed copies: made, tested, restored, moved; and killed at every step."""
