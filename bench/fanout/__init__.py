"""The stream of events to many listeners."""
