"""Lists of prospects on their way in: read by a child process, taken in by the one writer.

Nothing is imported here: the child would load the half of the house that takes them in, too.
"""
