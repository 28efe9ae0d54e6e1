"""Harness: clients of every kind, and the servers and processes that they talk to."""
