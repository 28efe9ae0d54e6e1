"""Imports of prospect lists: a child process reads the file, the daemon writes the rows."""

# Nothing is imported here: the child process would have to load the writer, too.
