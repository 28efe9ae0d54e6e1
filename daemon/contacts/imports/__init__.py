"""Imports of prospect lists: read by a child process, written by the daemon.

Nothing is imported here: the child process would load the writer, too.
"""
