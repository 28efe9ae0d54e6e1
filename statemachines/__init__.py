"""State machines: states, the legal transitions between them, and named sets of states.

Pure: no input or output, no clock. The daemon performs a transition; here it is only legal or not.
"""
