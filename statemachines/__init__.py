"""State machines: the states of things, the legal transitions between them, and the state sets.

Nothing else. Pure.
"""
