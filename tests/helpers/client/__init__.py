"""Clients of every kind, and the servers and processes that they connect to."""
