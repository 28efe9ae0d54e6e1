"""The client libraries against the real stream."""
